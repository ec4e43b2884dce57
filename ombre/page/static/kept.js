// Shades that were kept: the picture in each of them, side by side, and each a tap away in the mirror.
import { live, onState, renew, say, setup } from "./line.js";
import { made } from "./strip.js";

const PLACE = "ombre shades"; // where the browser keeps them
const PAUSE = 250; // ms without a change before the pictures are fetched anew
const area = document.querySelector("#kept");
const row = area.querySelector(".strip");
const keep = document.querySelector("#keep");
const known = new Map(setup.shades.flat().map((shade) => [shade.key, shade]));
let colors = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
let shown = "";
let fetching;

const parts = (color) => color.split(">").map((name) => known.get(name) ?? { label: name, color: name });

function tile(color) {
	const label = parts(color).map((part) => part.label).join(" > ");
	const button = made({ key: color, label }, (value) => say({ do: "change", name: "color", value }));
	const sample = document.createElement("span");
	sample.className = "sample";
	const [upper, lower = upper] = parts(color).map((part) => part.color);
	sample.style.background = `linear-gradient(${upper}, ${lower})`;
	const name = document.createElement("span");
	name.textContent = label;
	button.append(sample, name);
	return button;
}

function refresh() {
	const { token, version, picture } = live.state;
	if (!picture || live.mirroring) return;
	for (const button of row.children) {
		const color = encodeURIComponent(button.dataset.key);
		button.firstChild.src = `/picture/${token}/${picture.number}/small?color=${color}&v=${version}`;
	}
}

keep.addEventListener("click", () => {
	const { color } = live.state.style;
	colors = colors.includes(color) ? colors.filter((other) => other !== color) : [...colors, color];
	localStorage.setItem(PLACE, JSON.stringify(colors));
	renew();
});

onState(({ style, version }) => {
	area.hidden = !colors.length;
	keep.setAttribute("aria-pressed", String(colors.includes(style.color)));
	if ([...row.children].map((button) => button.dataset.key).join() !== colors.join())
		row.replaceChildren(...colors.map(tile));
	for (const button of row.children)
		button.setAttribute("aria-pressed", String(button.dataset.key === style.color));
	const now = `${version} ${colors} ${live.mirroring}`;
	if (shown === now) return;
	shown = now;
	clearTimeout(fetching);
	fetching = setTimeout(refresh, PAUSE);
});
