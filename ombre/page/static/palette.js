// A colour to choose: swatches, a hue bar, any colour of one's own. The swatches are one stop for Tab; arrow keys go on.
import { live, onState, say, setup, texts } from "./line.js";

function palette(name, title, none) {
	const root = document.querySelector(`#${name}`);
	const choose = (key, moving = false) => say({ do: "change", name, value: key, moving });
	root.innerHTML = `<h2 id="${name}-title"></h2>
		<div class="swatches" role="radiogroup" aria-labelledby="${name}-title"></div>
		<div class="free">
			<label class="wide"><span></span><input class="hue" type="range" min="0" max="1" step="0.005" value="0.9"></label>
			<label><span></span><input class="own" type="color" value="#c0a080"></label>
		</div>`;
	root.querySelector("h2").append(title, document.createElement("span"));
	const [swatches, hue, own, chosen] = [".swatches", ".hue", ".own", "h2 span"].map((part) => root.querySelector(part));
	const [hueLabel, ownLabel] = root.querySelectorAll("label span");
	[hueLabel.textContent, ownLabel.textContent] = [texts.hue, texts.own];

	function swatch({ key, label, color }) {
		const button = document.createElement("button");
		button.type = "button";
		button.setAttribute("role", "radio");
		button.dataset.key = key;
		button.title = label;
		button.setAttribute("aria-label", label);
		button.style.background = color;
		if (!key) button.classList.add("none");
		button.addEventListener("click", () => choose(key));
		return button;
	}

	const groups = none ? [[{ key: "", label: none, color: "" }], ...setup.shades] : setup.shades;
	swatches.append(
		...groups.map((shades) => {
			const group = document.createElement("div");
			group.append(...shades.map(swatch));
			return group;
		}),
	);
	const buttons = [...swatches.querySelectorAll("button")];

	swatches.addEventListener("keydown", (event) => {
		const at = buttons.indexOf(event.target);
		const to = {
			ArrowLeft: at - 1,
			ArrowUp: at - 1,
			ArrowRight: at + 1,
			ArrowDown: at + 1,
			Home: 0,
			End: buttons.length - 1,
		}[event.key];
		if (at < 0 || to === undefined) return;
		event.preventDefault();
		const next = buttons[(to + buttons.length) % buttons.length];
		next.focus();
		choose(next.dataset.key);
	});
	hue.addEventListener("input", () => choose(hue.value, true));
	own.addEventListener("input", () => choose(own.value, true));

	onState(({ style }) => {
		if (!live.settled) return;
		const value = style[name];
		const now = buttons.find((button) => button.dataset.key === value);
		for (const button of buttons) {
			button.setAttribute("aria-checked", String(button === now));
			button.tabIndex = button === (now ?? buttons[0]) ? 0 : -1;
		}
		chosen.textContent = now ? now.title : value;
		if (value.startsWith("#")) own.value = value;
		else if (value !== "" && !Number.isNaN(Number(value))) hue.value = value;
	});
}

palette("upper", texts.upper, "");
palette("lower", texts.lower, texts.none);
