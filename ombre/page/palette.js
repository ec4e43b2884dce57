// A colour to choose: swatches, a hue bar, any colour of one's own.
// props.shades = [[{key, label, color}]] in groups; props.none: the label of "no colour", "" where there has to be one;
// props.value = the colour chosen, as a text. Triggers 'choose' with {key, moving}.
const swatches = element.querySelector(".swatches");
const hue = element.querySelector(".hue");
const own = element.querySelector(".own");
const choose = (key, moving) => trigger("choose", { key, moving });

function swatch({ key, label, color }) {
	const button = document.createElement("button");
	button.type = "button";
	button.dataset.key = key;
	button.title = label;
	button.setAttribute("aria-label", label);
	button.style.background = color;
	if (!key) button.classList.add("none");
	button.addEventListener("click", () => choose(key, false));
	return button;
}

function show() {
	const chosen = props.value ?? "";
	let name = chosen;
	for (const button of swatches.querySelectorAll("button")) {
		const pressed = button.dataset.key === chosen;
		button.setAttribute("aria-pressed", String(pressed));
		if (pressed) name = button.title;
	}
	element.querySelector(".chosen").textContent = name;
	if (chosen.startsWith("#")) own.value = chosen;
	else if (chosen !== "" && !Number.isNaN(Number(chosen)) && document.activeElement !== hue) hue.value = chosen;
}

const groups = props.none ? [[{ key: "", label: props.none, color: "" }], ...props.shades] : props.shades;
swatches.replaceChildren(
	...groups.map((shades) => {
		const group = document.createElement("div");
		group.append(...shades.map(swatch));
		return group;
	}),
);
hue.addEventListener("input", () => choose(hue.value, true));
own.addEventListener("input", () => choose(own.value, true));
watch("value", show);
show();
