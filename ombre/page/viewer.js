// The picture before and after, the hair found, and a brush for it.
// props.value = {token, number, version, width, height, note, several}; triggers 'paint' with {hair, radius, points},
// and 'clear'.
const find = (name) => element.querySelector(name);
const [viewer, stage, after, before, found] = [".viewer", ".stage", ".after", ".before", ".found"].map(find);
const [canvas, brush, cutAt, showFound, radius] = [".paint", ".brush", ".cut-at", ".show-found", ".radius"].map(find);
const STEP = 0.02; // of the picture, that an arrow key moves the brush
let latest = 0; // counts what was asked for, so that a late answer replaces no later one
let stroke = null;
let at = [0.5, 0.5];

const mode = () => find("[name=paint]:checked").value;
const brushRadius = () => radius.value / 500; // a share of the longer side

async function load(image, address, mine) {
	const fresh = new Image();
	fresh.src = address;
	try {
		await fresh.decode();
	} catch {
		return;
	}
	if (mine === latest) image.src = address;
}

function show() {
	const value = props.value;
	viewer.hidden = !value?.number;
	if (viewer.hidden) return;
	const { token, number, version, width, height } = value;
	const address = (kind) => `/picture/${token}/${number}/${kind}?v=${version}`;
	const download = (kind) => `/download/${token}/${number}/${kind}`;
	latest += 1;
	const other = stage.dataset.number !== String(number);
	if (other) {
		stage.dataset.number = number;
		stage.style.setProperty("--shape", width / height);
		after.removeAttribute("src");
		before.src = `/picture/${token}/${number}/before`;
		found.removeAttribute("src");
	}
	const mine = latest;
	load(after, address("after"), mine).then(() => {
		if (mine === latest) stage.dataset.version = version;
		if (!stroke) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
	});
	found.hidden = !showFound.checked;
	if (showFound.checked) load(found, address("found"), mine);
	find(".note").textContent = value.note;
	find(".dyed").href = download("dyed");
	find(".png").href = download("dyed?suffix=.png");
	find(".mask").href = download("mask");
	find(".all").href = `/download/${token}/all`;
	find(".all").hidden = !value.several;
}

function setCut() {
	stage.style.setProperty("--cut", `${cutAt.value}%`);
}

function setMode() {
	const painting = mode() !== "";
	stage.classList.toggle("is-painting", painting);
	stage.tabIndex = painting ? 0 : -1;
	brush.hidden = !painting;
	element.querySelectorAll(".painting").forEach((part) => (part.hidden = !painting));
	if (painting && !showFound.checked) {
		showFound.checked = true;
		show();
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
	if (stroke?.points.length) trigger("paint", stroke);
	stroke = null;
}

stage.addEventListener("pointerdown", (event) => {
	if (event.button !== 0) return;
	stage.setPointerCapture(event.pointerId);
	if (mode()) {
		begin();
		extend(place(event));
	} else drag(event);
	event.preventDefault();
});
stage.addEventListener("pointermove", (event) => {
	if (mode()) moveBrush(place(event));
	if (stroke) extend(place(event));
	else if (!mode() && stage.hasPointerCapture(event.pointerId)) drag(event);
});
stage.addEventListener("pointerup", end);
stage.addEventListener("pointercancel", end);
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
showFound.addEventListener("change", show);
radius.addEventListener("input", () => moveBrush(at));
find(".clear").addEventListener("click", () => trigger("clear", {}));
element.querySelectorAll("[name=paint]").forEach((choice) => choice.addEventListener("change", setMode));
document.addEventListener("keydown", (event) => {
	if (!(event.ctrlKey || event.metaKey) || event.key !== "z" || event.shiftKey) return;
	if (event.target.matches("textarea, input:not([type=range], [type=radio], [type=checkbox])")) return;
	event.preventDefault();
	document.querySelector("#undo").click();
});
watch("value", show);
setCut();
show();
