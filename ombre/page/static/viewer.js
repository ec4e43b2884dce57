// The picture before and after, the hair found; downloads, and the command that makes the same.
import { clear, isPainting, mode } from "./brush.js";
import { language, live, onState, texts } from "./line.js";
import { report } from "./notices.js";
import { findPeople } from "./people.js";
import { onZoom, showWhole, view } from "./zoom.js";

const work = document.querySelector("#work");
const find = (name) => work.querySelector(name);
const [stage, after, before, found] = [".stage", ".after", ".before", ".found"].map(find);
const [brush, cutAt, showFound] = [".brush", ".cut-at", ".show-found"].map(find);
let drawing = false; // a dyed picture is on its way; only the newest is asked for when it is there

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
		if (!isPainting()) clear();
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
	if (live.mirroring && view.scale > 1) showWhole();
	if (!picture || live.mirroring) return;
	const { number, width, height, note, clip } = picture;
	const download = (kind) => `/${language}/download/${token}/${number}/${kind}`;
	if (stage.dataset.number !== String(number)) {
		stage.dataset.number = number;
		showWhole();
		after.removeAttribute("src");
		before.src = `/picture/${token}/${number}/before`;
		found.removeAttribute("src");
	}
	stage.style.setProperty("--shape", width / height);
	if (stage.dataset.version !== String(version)) draw();
	find(".note").textContent = note;
	find(".dyed").href = download("dyed");
	find(".dyed").textContent = clip ? texts.download_clip : texts.download;
	for (const part of [".png", ".mask", ".tools"]) find(part).hidden = clip;
	if (clip && (mode() || showFound.checked)) lookOnly();
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
	stage.style.setProperty("--before", `${100 * (view.left + cutShare() / view.scale)}%`);
}

function lookOnly() {
	showFound.checked = false;
	setFound();
	look();
}

function look() {
	find("[name=paint]").checked = true;
	setMode();
}

function setMode() {
	const painting = mode() !== "";
	stage.classList.toggle("is-painting", painting);
	brush.hidden = !painting;
	work.querySelectorAll(".painting").forEach((part) => (part.hidden = !painting));
	if (painting && !showFound.checked) {
		showFound.checked = true;
		setFound();
	}
	setStop();
}

// Keys move the brush, or the picture where it is near.
function setStop() {
	stage.tabIndex = mode() || view.scale > 1 ? 0 : -1;
}

export function cutShare() {
	return cutAt.value / 100;
}

export function moveCut(share) {
	cutAt.value = 100 * share;
	setCut();
}

cutAt.addEventListener("input", setCut);
showFound.addEventListener("change", setFound);
onZoom(setCut);
onZoom(setStop);
work.querySelectorAll("[name=paint]").forEach((choice) => choice.addEventListener("change", setMode));
find("#command .copy").addEventListener("click", async () => {
	await navigator.clipboard.writeText(find("#command textarea").value);
	find("#command [role=status]").textContent = texts.copied;
});
onState(show);
setCut();
