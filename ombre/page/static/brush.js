// The brush: what it paints into the hair, or out of it. It is as large on the screen however near the picture is.
import { say } from "./line.js";
import { onZoom, view } from "./zoom.js";

const work = document.querySelector("#work");
const find = (name) => work.querySelector(name);
const [stage, canvas, brush, radius] = [".stage", ".paint", ".brush", ".radius"].map(find);
let stroke = null;
let at = [0.5, 0.5];

export const mode = () => find("[name=paint]:checked").value;
export const isPainting = () => stroke !== null;
const brushRadius = () => radius.value / 500 / view.scale; // a share of the longer side

export function moveBrush(place) {
	at = place.map((share) => Math.min(1, Math.max(0, share)));
	const side = 2 * brushRadius() * Math.max(stage.clientWidth, stage.clientHeight);
	Object.assign(brush.style, {
		left: `${100 * at[0]}%`,
		top: `${100 * at[1]}%`,
		width: `${side}px`,
		height: `${side}px`,
	});
}

export function stepBrush(right, down) {
	moveBrush([at[0] + right / view.scale, at[1] + down / view.scale]);
	return at;
}

export function begin() {
	[canvas.width, canvas.height] = [stage.clientWidth, stage.clientHeight];
	stroke = { hair: mode() === "add", radius: brushRadius(), points: [] };
}

export function extend(point = at) {
	stroke.points.push(point.map((share) => Math.round(1e4 * share) / 1e4));
	const pen = canvas.getContext("2d");
	clear();
	pen.lineWidth = 2 * stroke.radius * Math.max(canvas.width, canvas.height);
	pen.lineCap = pen.lineJoin = "round";
	pen.strokeStyle = stroke.hair ? "rgba(255, 0, 170, 0.5)" : "rgba(255, 255, 255, 0.5)";
	pen.beginPath();
	stroke.points.forEach(([x, y]) => pen.lineTo(x * canvas.width, y * canvas.height));
	if (stroke.points.length === 1) pen.lineTo(point[0] * canvas.width + 0.01, point[1] * canvas.height);
	pen.stroke();
}

export function end() {
	if (stroke?.points.length) say({ do: "paint", ...stroke });
	stroke = null;
}

// Let go of a stroke, as if it had not been.
export function drop() {
	if (stroke) clear();
	stroke = null;
}

export function clear() {
	canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

radius.addEventListener("input", () => moveBrush(at));
work.querySelectorAll("[name=paint]").forEach((choice) => choice.addEventListener("change", () => moveBrush(at)));
onZoom(() => moveBrush(at));
find(".clear").addEventListener("click", () => say({ do: "clear" }));
