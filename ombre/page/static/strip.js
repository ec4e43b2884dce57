// Rows of pictures to choose from: the samples, and one's own.
import { live, onState, say, setup } from "./line.js";

const PAUSE = 250; // ms without a change before the pictures are fetched anew

export function made(item, choose) {
	const button = document.createElement("button");
	button.type = "button";
	button.dataset.key = item.key;
	button.title = item.label;
	button.setAttribute("aria-label", item.label);
	const image = new Image();
	image.alt = "";
	image.loading = "lazy";
	if (item.src) image.src = item.src;
	button.append(image);
	button.addEventListener("click", () => choose(item.key));
	return button;
}

const samples = document.querySelector("#samples");
samples.hidden = !setup.samples.length;
samples.querySelector(".strip").append(
	...setup.samples.map((item) => made(item, (key) => say({ do: "sample", number: key }))),
);

const gallery = document.querySelector("#gallery");
const row = gallery.querySelector(".strip");
let shown = "";
let fetching;

function refresh() {
	const { token, version } = live.state;
	for (const button of row.children) button.firstChild.src = `/picture/${token}/${button.dataset.key}/small?v=${version}`;
}

onState(({ pictures, picture, version }) => {
	gallery.hidden = pictures.length < 2;
	if (gallery.hidden) {
		shown = "";
		row.replaceChildren();
		return;
	}
	const keys = [...row.children].map((button) => button.dataset.key).join();
	if (keys !== pictures.map((item) => item.key).join())
		row.replaceChildren(...pictures.map((item) => made(item, (number) => say({ do: "choose", number }))));
	for (const button of row.children)
		button.setAttribute("aria-pressed", String(Number(button.dataset.key) === picture?.number));
	if (shown === `${version}`) return;
	shown = `${version}`;
	clearTimeout(fetching);
	fetching = setTimeout(refresh, PAUSE);
});
