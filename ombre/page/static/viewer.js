// The picture before and after, the hair found, a brush for it; downloads, and the command that makes the same.
import { language, live, onState, say, texts } from "./line.js";
import { report } from "./notices.js";
import { choosePerson, findPeople } from "./people.js";

const work = document.querySelector("#work");
const find = (name) => work.querySelector(name);
const [stage, after, before, found] = [".stage", ".after", ".before", ".found"].map(find);
const [canvas, brush, cutAt, showFound, radius] = [".paint", ".brush", ".cut-at", ".show-found", ".radius"].map(find);
const STEP = 0.02; // of the picture, that an arrow key moves the brush
const TAP = 6; // CSS pixels: a pointer that moves less taps
let drawing = false; // a dyed picture is on its way; only the newest is asked for when it is there
let stroke = null;
let tap = null; // where a pointer came down that has not moved yet
let at = [0.5, 0.5];

const mode = () => find("[name=paint]:checked").value;
const brushRadius = () => radius.value / 500; // a share of the longer side

async function load(image, address) {
	const fresh = new Image();
	fresh.src = address;
	try {
		await fresh.decode();
	} catch {
		return false;
	}
	image.src = address;
	return true;
}

async function draw() {
	if (drawing) return;
	drawing = true;
	report("draw", { what: texts.job_draw });
	for (let drawn = null; live.state.picture && !live.mirroring && drawn !== live.state.version; ) {
		const { token, version, picture } = live.state;
		const address = (kind) => `/picture/${token}/${picture.number}/${kind}?v=${version}`;
		const [done] = await Promise.all([
			load(after, address("after")),
			showFound.checked ? load(found, address("found")) : null,
		]);
		if (done && live.state.picture?.number === picture.number) stage.dataset.version = version;
		if (done) findPeople(before);
		if (!stroke) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
		drawn = version;
	}
	drawing = false;
	report("draw", null);
}

function show({ token, version, picture, pictures, command, command_note }) {
	work.hidden = !picture && !live.mirroring;
	document.body.classList.toggle("is-working", !work.hidden);
	work.classList.toggle("is-mirror", live.mirroring);
	if (live.mirroring && mode()) look();
	if (!picture || live.mirroring) return;
	const { number, width, height, note } = picture;
	const download = (kind) => `/${language}/download/${token}/${number}/${kind}`;
	if (stage.dataset.number !== String(number)) {
		stage.dataset.number = number;
		after.removeAttribute("src");
		before.src = `/picture/${token}/${number}/before`;
		found.removeAttribute("src");
	}
	stage.style.setProperty("--shape", width / height);
	if (stage.dataset.version !== String(version)) draw();
	find(".note").textContent = note;
	find(".dyed").href = download("dyed");
	find(".png").href = download("dyed?suffix=.png");
	find(".mask").href = download("mask");
	find(".all").href = `/${language}/download/${token}/all`;
	find(".all").hidden = pictures.length < 2;
	find("#command textarea").value = command;
	const note_of_command = find("#command p");
	note_of_command.textContent = command_note;
	note_of_command.hidden = !command_note;
}

function setFound() {
	found.hidden = !showFound.checked;
	const { token, version, picture } = live.state;
	if (showFound.checked && picture) load(found, `/picture/${token}/${picture.number}/found?v=${version}`);
}

function setCut() {
	stage.style.setProperty("--cut", `${cutAt.value}%`);
}

function look() {
	find("[name=paint]").checked = true;
	setMode();
}

function setMode() {
	const painting = mode() !== "";
	stage.classList.toggle("is-painting", painting);
	stage.tabIndex = painting ? 0 : -1;
	brush.hidden = !painting;
	work.querySelectorAll(".painting").forEach((part) => (part.hidden = !painting));
	if (painting && !showFound.checked) {
		showFound.checked = true;
		setFound();
	}
	moveBrush(at);
}

function moveBrush(place) {
	at = place.map((share) => Math.min(1, Math.max(0, share)));
	const box = stage.getBoundingClientRect();
	const side = 2 * brushRadius() * Math.max(box.width, box.height);
	Object.assign(brush.style, {
		left: `${100 * at[0]}%`,
		top: `${100 * at[1]}%`,
		width: `${side}px`,
		height: `${side}px`,
	});
}

function place(event) {
	const box = stage.getBoundingClientRect();
	return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function begin() {
	[canvas.width, canvas.height] = [stage.clientWidth, stage.clientHeight];
	stroke = { hair: mode() === "add", radius: brushRadius(), points: [] };
}

function extend(point) {
	stroke.points.push(point.map((share) => Math.round(1e4 * share) / 1e4));
	const pen = canvas.getContext("2d");
	pen.clearRect(0, 0, canvas.width, canvas.height);
	pen.lineWidth = 2 * stroke.radius * Math.max(canvas.width, canvas.height);
	pen.lineCap = pen.lineJoin = "round";
	pen.strokeStyle = stroke.hair ? "rgba(255, 0, 170, 0.5)" : "rgba(255, 255, 255, 0.5)";
	pen.beginPath();
	stroke.points.forEach(([x, y]) => pen.lineTo(x * canvas.width, y * canvas.height));
	if (stroke.points.length === 1) pen.lineTo(point[0] * canvas.width + 0.01, point[1] * canvas.height);
	pen.stroke();
}

function end() {
	if (stroke?.points.length) say({ do: "paint", ...stroke });
	stroke = null;
}

stage.addEventListener("pointerdown", (event) => {
	if (event.button !== 0) return;
	stage.setPointerCapture(event.pointerId);
	if (mode()) {
		begin();
		extend(place(event));
	} else tap = [event.clientX, event.clientY];
	event.preventDefault();
});
stage.addEventListener("pointermove", (event) => {
	if (mode()) moveBrush(place(event));
	if (stroke) extend(place(event));
	else if (!mode() && stage.hasPointerCapture(event.pointerId)) {
		if (tap && Math.hypot(event.clientX - tap[0], event.clientY - tap[1]) > TAP) tap = null;
		if (!tap) drag(event);
	}
});
stage.addEventListener("pointerup", (event) => {
	end();
	if (tap && (live.mirroring || !choosePerson(place(event)))) drag(event);
	tap = null;
});
stage.addEventListener("pointercancel", () => {
	end();
	tap = null;
});
stage.addEventListener("keydown", (event) => {
	const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
	if (!mode() || (!way && event.key !== " ")) return;
	event.preventDefault();
	if (way) return moveBrush([at[0] + way[0], at[1] + way[1]]);
	begin();
	extend(at);
	end();
});

function drag(event) {
	cutAt.value = 100 * place(event)[0];
	setCut();
}

cutAt.addEventListener("input", setCut);
showFound.addEventListener("change", setFound);
radius.addEventListener("input", () => moveBrush(at));
find(".clear").addEventListener("click", () => say({ do: "clear" }));
work.querySelectorAll("[name=paint]").forEach((choice) => choice.addEventListener("change", setMode));
find("#command .copy").addEventListener("click", async () => {
	await navigator.clipboard.writeText(find("#command textarea").value);
	find("#command [role=status]").textContent = texts.copied;
});
onState(show);
setCut();
