// The heights, the strength, the lightness, each as a slider and as a number; undo, redo, and taking a picture away.
import { fill, live, onState, say, setup, texts } from "./line.js";

const STEP = 0.01;
const shown = (value) => String(Number(value));

function slider(name, [low, high]) {
	const root = document.createElement("div");
	root.className = "slider";
	root.id = name;
	root.innerHTML = `<label for="${name}-at"></label>
		<input class="place" id="${name}-at" type="range" min="${low}" max="${high}" step="${STEP}" aria-describedby="${name}-info">
		<input class="place" type="number" min="${low}" max="${high}" step="${STEP}">
		<small id="${name}-info"></small>`;
	root.querySelector("label").textContent = texts[name];
	root.querySelector("small").textContent = texts[`${name}_info`];
	const [range, number] = root.querySelectorAll("input");
	number.setAttribute("aria-label", fill(texts.number, { label: texts[name] }));
	const change = (value, moving) => say({ do: "change", name, value, moving });
	const fits = (text) => text !== "" && Number(text) >= low && Number(text) <= high;

	range.addEventListener("input", () => {
		number.value = shown(range.value);
		change(Number(range.value), true);
	});
	number.addEventListener("input", () => {
		if (!fits(number.value)) return; // half typed
		range.value = number.value;
		change(Number(number.value), true);
	});
	// What stands there when one has typed is what is dyed by: the nearest that there is, or what was there before.
	number.addEventListener("change", () => {
		const typed = number.value === "" ? live.state.style[name] : Number(number.value);
		const value = Math.min(high, Math.max(low, typed));
		[range.value, number.value] = [value, shown(value)];
		change(value, true);
	});
	onState(({ style }) => {
		if (!live.settled || document.activeElement === number) return;
		[range.value, number.value] = [style[name], shown(style[name])];
	});
	return root;
}

document.querySelector(".sliders").append(...Object.entries(setup.ranges).map(([name, range]) => slider(name, range)));

const reverse = document.querySelector("#reverse input");
reverse.addEventListener("change", () => say({ do: "change", name: "reverse", value: reverse.checked }));

const undo = document.querySelector("#undo");
undo.addEventListener("click", () => say({ do: "undo" }));
const redo = document.querySelector("#redo");
redo.addEventListener("click", () => say({ do: "redo" }));
document.querySelector("#remove").addEventListener("click", () => say({ do: "remove" }));
document.addEventListener("keydown", (event) => {
	const key = `${event.shiftKey ? "shift " : ""}${event.key.toLowerCase()}`;
	const button = { z: undo, "shift z": redo, y: redo }[key];
	if (!(event.ctrlKey || event.metaKey) || !button) return;
	if (event.target.matches("textarea, input[type=number]")) return;
	event.preventDefault();
	button.click();
});

onState(({ style, undoable, redoable }) => {
	if (live.settled) reverse.checked = style.reverse;
	undo.setAttribute("aria-disabled", String(!undoable));
	redo.setAttribute("aria-disabled", String(!redoable));
});
