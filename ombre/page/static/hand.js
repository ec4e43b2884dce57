// Pointers, wheel and keys on the picture: they paint, move the line, choose a head, move the picture, bring it nearer.
import { begin, drop, end, extend, isPainting, mode, moveBrush, stepBrush } from "./brush.js";
import { live } from "./line.js";
import { choosePerson } from "./people.js";
import { cutShare, moveCut } from "./viewer.js";
import { onPicture, pan, reveal, view, zoom } from "./zoom.js";

const STEP = 0.02; // of the picture, that an arrow key moves the brush
const PAN = 0.1; // of the stage, that it moves the picture
const TAP = 6; // CSS pixels: a pointer that moves less taps
const GRIP = 20; // CSS pixels from the line, where it is taken while the picture is near
const WHEEL = 0.002; // the logarithm of how much nearer, for each pixel
const PINCH = 0.01; // the same where a browser tells two fingers' moves as a wheel's
const LINE = 16; // pixels of a line, where a wheel counts lines

const stage = document.querySelector(".stage");
const fingers = new Map(); // pointers that are down: where on the stage, in shares of it
let pulls = ""; // what they pull: "brush", "line" or "picture"
let tap = null; // where a pointer came down that has not moved yet, in CSS pixels

function place(event) {
	const box = stage.getBoundingClientRect();
	return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function distance(one, other) {
	return Math.hypot((one[0] - other[0]) * stage.clientWidth, (one[1] - other[1]) * stage.clientHeight);
}

function taken(event, at) {
	if (fingers.size > 1 || event.button === 1) return "picture";
	if (mode()) return "brush";
	const line = Math.abs(at[0] - cutShare()) * stage.clientWidth < GRIP;
	return view.scale === 1 || line ? "line" : "picture";
}

stage.addEventListener("pointerdown", (event) => {
	if (event.target.closest("button") || event.button > 1) return;
	event.preventDefault();
	stage.setPointerCapture(event.pointerId);
	const at = place(event);
	fingers.set(event.pointerId, at);
	drop();
	pulls = live.mirroring ? "line" : taken(event, at);
	tap = pulls === "brush" || fingers.size > 1 ? null : [event.clientX, event.clientY];
	if (pulls !== "brush") return;
	begin();
	extend(onPicture(at));
});

// The middle button moves the picture, and not the page by itself.
stage.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault());

stage.addEventListener("pointermove", (event) => {
	const [at, before] = [place(event), fingers.get(event.pointerId)];
	if (mode()) moveBrush(onPicture(at));
	if (!before) return;
	if (tap && Math.hypot(event.clientX - tap[0], event.clientY - tap[1]) <= TAP) return;
	tap = null;
	fingers.set(event.pointerId, at);
	if (fingers.size === 2) pinch(event.pointerId, before, at);
	else if (pulls === "brush" && isPainting()) extend(onPicture(at));
	else if (pulls === "line") moveCut(at[0]);
	else if (pulls === "picture") pan(at[0] - before[0], at[1] - before[1]);
});

function pinch(moved, before, at) {
	const [, other] = [...fingers].find(([id]) => id !== moved);
	zoom(distance(at, other) / Math.max(1, distance(before, other)), [0, 1].map((axis) => (before[axis] + other[axis]) / 2));
	pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
}

stage.addEventListener("pointerup", (event) => {
	if (!fingers.delete(event.pointerId)) return;
	end();
	if (tap && event.button === 0 && (live.mirroring || !choosePerson(onPicture(place(event)))) && pulls === "line")
		moveCut(place(event)[0]);
	tap = null;
	pulls = "picture"; // the other finger, if there is one, goes on so
});

stage.addEventListener("pointercancel", (event) => {
	fingers.delete(event.pointerId);
	drop();
	tap = null;
});

stage.addEventListener(
	"wheel",
	(event) => {
		const scrolls = view.scale === 1 && !event.ctrlKey && (event.deltaY > 0 || scrollY > 0);
		if (live.mirroring || scrolls) return; // the page does
		event.preventDefault();
		const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
		zoom(Math.exp(-pixels * (event.ctrlKey && Math.abs(pixels) < 50 ? PINCH : WHEEL)), place(event));
	},
	{ passive: false },
);

stage.addEventListener("keydown", (event) => {
	const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
	if (event.target !== stage || !(way || (mode() && event.key === " "))) return;
	event.preventDefault();
	if (way && (event.shiftKey || !mode())) pan(-PAN * way[0], -PAN * way[1]);
	else if (way) reveal(stepBrush(STEP * way[0], STEP * way[1]));
	else {
		begin();
		extend();
		end();
	}
});
