// How near the picture is looked at, and which part of it is seen: `view`, whose left and top are shares of the picture.
const MOST = 8; // times nearer
const STEP = 2; // times nearer by a button or a key
const NEARLY = 1.02; // what is hardly nearer is the whole

export const view = { scale: 1, left: 0, top: 0 };
const stage = document.querySelector(".stage");
const [nearer, farther] = [".nearer", ".farther"].map((part) => stage.querySelector(part));
const listeners = [];

export function onZoom(listener) {
	listeners.push(listener);
}

// A place of the stage, in shares of it, as a place of the picture.
export function onPicture([x, y]) {
	return [view.left + x / view.scale, view.top + y / view.scale];
}

// So many times nearer; a place of the stage stays where it is.
export function zoom(times, [x, y] = [0.5, 0.5]) {
	const wanted = Math.min(MOST, view.scale * times);
	const scale = wanted < NEARLY ? 1 : wanted;
	const [left, top] = onPicture([x, y]);
	set(scale, left - x / scale, top - y / scale);
}

// Move the picture by shares of the stage.
export function pan(right, down) {
	set(view.scale, view.left - right / view.scale, view.top - down / view.scale);
}

// Move the picture, where it must be, so that a place of it is seen.
export function reveal([x, y]) {
	const side = 1 / view.scale;
	const near = (start, place) => Math.min(Math.max(start, place - 0.9 * side), place - 0.1 * side);
	if (view.scale > 1) set(view.scale, near(view.left, x), near(view.top, y));
}

export function showWhole() {
	set(1, 0, 0);
}

function set(scale, left, top) {
	const within = (place) => Math.min(1 - 1 / scale, Math.max(0, place));
	Object.assign(view, { scale, left: within(left), top: within(top) });
	stage.style.setProperty("--zoom", view.scale);
	stage.style.setProperty("--left", view.left);
	stage.style.setProperty("--top", view.top);
	stage.classList.toggle("is-near", scale > 1);
	nearer.setAttribute("aria-disabled", String(scale === MOST));
	farther.setAttribute("aria-disabled", String(scale === 1));
	listeners.forEach((listener) => listener());
}

nearer.addEventListener("click", () => zoom(STEP));
farther.addEventListener("click", () => zoom(1 / STEP));
document.addEventListener("keydown", (event) => {
	const act = { "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: showWhole }[event.key];
	if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, [type=number]")) return;
	if (!stage.checkVisibility() || document.querySelector(".is-mirror")) return;
	event.preventDefault();
	act();
});
