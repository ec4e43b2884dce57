"""What is where on the page, and what happens when somebody touches it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from common.image.picture import PictureError
from ombre.page import parts
from ombre.page.choosing import RANGES, START, colors_of
from ombre.page.strokes import stroke_from
from ombre.page.visitors import MOST_PICTURES, TooManyPictures, Visitor, Visitors

FONTS = ["system-ui", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans CJK KR", "sans-serif"]  # none is fetched
THEME = gr.themes.Soft(primary_hue="pink", font=FONTS, font_mono=["ui-monospace", "monospace"]).set(
    block_title_background_fill="none",
    block_title_background_fill_dark="none",
    block_title_text_color="*body_text_color",
    block_title_text_color_dark="*body_text_color",
    block_title_padding="0",
)
STEP = 0.01  # of the sliders
KEPT = (60, 600)  # seconds between looks for what Gradio keeps of uploads, and how old that may grow

Change = Callable[..., None]  # (visitor, what the event carries, values of the inputs...)


def build(texts: dict[str, str], visitors: Visitors, samples: list[Path]) -> gr.Blocks:
    """The page in one language."""
    with gr.Blocks(title=texts["title"], analytics_enabled=False, delete_cache=KEPT) as page:
        gr.HTML(f"<h1>{texts['title']}</h1><p>{texts['privacy']}</p>", elem_id="head")
        with gr.Row():
            with gr.Column(scale=3, elem_classes="pictures"):
                viewer = parts.viewer(texts)
                gallery = parts.strip("gallery", texts["gallery"])
                gr.HTML(f"<p>{texts['upload']}</p>", elem_classes="heading")
                upload = gr.File(
                    label=texts["upload"], show_label=False, file_count="multiple", height=130, elem_id="upload"
                )
                sample = parts.strip("samples", texts["samples"], parts.sample_items(samples))
                with gr.Accordion(texts["camera"], open=False, elem_id="camera"):
                    camera = gr.Image(sources=["webcam"], type="filepath", image_mode=None, show_label=False)
            with gr.Column(scale=2):
                upper = parts.palette("upper", texts, colors_of(START)[0], needed=True)
                sliders = {name: _slider(name, texts) for name in RANGES}
                reverse = gr.Checkbox(label=texts["reverse"], elem_id="reverse")
                with gr.Accordion(texts["lower"], open=False):
                    lower = parts.palette("lower", texts, colors_of(START)[1], needed=False)
                with gr.Row():
                    undo = gr.Button(texts["undo"], elem_id="undo")
                    remove = gr.Button(texts["remove"], elem_id="remove")
                command = gr.Textbox(label=texts["command"], elem_id="command", lines=2, buttons=["copy"])

        seen = [viewer, gallery, upper, lower, command]
        controls = sliders | {"reverse": reverse}

        def on(listen: Callable, change: Change, inputs: list | None = None, all_of_it: bool = False, **how) -> None:
            """When the event comes, do `change`, then show the visitor what is there now; `all_of_it`: in the sliders
            too, which else stand where the visitor has put them."""

            def listener(event: gr.EventData, request: gr.Request, *values: object) -> list:
                visitor = visitors.of(request.session_hash)
                try:
                    change(visitor, event and event._data, *values)
                except ValueError:
                    gr.Warning(texts["bad_value"])
                style = visitor.step.style
                return parts.seen(visitor, texts) + ([getattr(style, name) for name in controls] if all_of_it else [])

            outputs = seen + (list(controls.values()) if all_of_it else [])
            listen(listener, inputs, outputs, show_progress="hidden", api_visibility="private", queue=False, **how)

        def on_file(listen: Callable, files_of: Callable, source: gr.components.Component | None) -> None:
            """When pictures come, take them in one by one; `files_of(event's data, value)` says where they lie."""

            def listener(event: gr.EventData, request: gr.Request, *values: object) -> Iterator[list]:
                visitor = visitors.of(request.session_hash)
                for file in files_of(event and event._data, *values):
                    if complaint := _taken_in(visitor, file, source is not None):
                        gr.Warning(complaint)
                    yield parts.seen(visitor, texts) + [None] * len(given)

            given = [source] if source else []
            listen(listener, given, seen + given, show_progress="minimal", api_visibility="private")

        def _taken_in(visitor: Visitor, file: Path, uploaded: bool) -> str | None:
            """Take a picture in; what to say where that cannot be."""
            try:
                visitors.add(visitor, file, uploaded)
            except TooManyPictures:
                return texts["too_many"].format(most=MOST_PICTURES)
            except PictureError as error:
                reason = str(error).removeprefix(f"{error}".partition(f"{file.name}: ")[0])
                return texts["bad_picture"].format(reason=reason)
            except FileNotFoundError:
                return texts["bad_upload"].format(name=file.name)
            except OSError as error:
                return texts["disk"].format(reason=error.strerror)
            return None

        latest, each = {"trigger_mode": "always_last"}, {"trigger_mode": "multiple"}
        for name, control in controls.items():
            on(
                control.input,
                lambda visitor, _, value, name=name: visitor.change(name, value, True),
                [control],
                **latest,
            )
        on(upper.choose, lambda visitor, data: visitor.change("upper", data["key"], data["moving"]), **latest)
        on(lower.choose, lambda visitor, data: visitor.change("lower", data["key"], data["moving"]), **latest)
        on(gallery.choose, lambda visitor, data: visitor.choose(data["key"]), **each)
        on(viewer.paint, lambda visitor, data: visitor.paint(stroke_from(data)), **each)
        on(viewer.clear, lambda visitor, _: visitor.paint(None), **each)
        on(undo.click, lambda visitor, _: visitor.undo(), all_of_it=True, **each)
        on(remove.click, lambda visitor, _: visitor.remove(), **each)
        on(page.load, lambda visitor, _: None, all_of_it=True)

        on_file(sample.choose, lambda data: [samples[int(data["key"])]], None)
        on_file(upload.upload, lambda _, files: [Path(file) for file in files or []], upload)
        on_file(camera.input, lambda _, file: [Path(file)] if file else [], camera)

        def leave(request: gr.Request) -> None:
            visitors.leave(request.session_hash)

        page.unload(leave)
    return page


def _slider(name: str, texts: dict[str, str]) -> gr.Slider:
    shown = {"label": texts[name], "info": texts[f"{name}_info"], "elem_id": name}
    return gr.Slider(*RANGES[name], getattr(START, name), step=STEP, **shown)
