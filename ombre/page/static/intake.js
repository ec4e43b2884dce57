// How pictures come in: chosen or dropped files, and the camera.
import { fill, language, live, setup, texts } from "./line.js";
import { notice, report } from "./notices.js";

let queue = Promise.resolve();
let waiting = 0;
let taken = 0;
let round = 0; // everything that was given before a stop is of an earlier one

export function send(files) {
	const mine = round;
	waiting += files.length;
	for (const file of files) {
		queue = queue.then(async () => {
			taken += 1;
			if (mine === round) await sendOne(file, taken, waiting);
			if (taken === waiting) waiting = taken = 0;
		});
	}
}

function sendOne(file, at, total) {
	const several = (what) => (total > 1 ? fill(texts.of_several, { what, at, total }) : what);
	const request = new XMLHttpRequest();
	const stop = () => {
		round += 1;
		request.abort();
	};
	const show = (done) => {
		const percent = file.size ? Math.round((100 * done) / file.size) : 100;
		const what = several(fill(texts.job_send, { name: file.name, percent }));
		report(request, { what, done, total: file.size, around: several, stop });
	};
	return new Promise((resolve) => {
		request.upload.addEventListener("progress", (event) => show(event.loaded));
		request.addEventListener("error", () => notice(fill(texts.failed, { name: file.name })));
		request.addEventListener("loadend", () => {
			report(request, null);
			resolve();
		});
		request.open("POST", `/${language}/upload/${live.state.token}?name=${encodeURIComponent(file.name)}`);
		request.send(file);
		show(0);
	});
}

const upload = document.querySelector("#upload");
const chooser = upload.querySelector("input");
chooser.addEventListener("change", () => {
	send([...chooser.files]);
	chooser.value = "";
});
const over = (event, is) => {
	event.preventDefault();
	upload.classList.toggle("is-over", is);
};
document.addEventListener("dragover", (event) => over(event, true));
document.addEventListener("dragleave", (event) => over(event, false));
document.addEventListener("drop", (event) => {
	over(event, false);
	send([...event.dataTransfer.files]);
});

const camera = document.querySelector("#camera");
const [open, area, video] = [".open", ".live", "video"].map((part) => camera.querySelector(part));
const REASONS = { NotAllowedError: "camera_denied", SecurityError: "camera_denied", NotReadableError: "camera_busy" };

open.addEventListener("click", async () => {
	try {
		const ideal = { width: { ideal: 4096 }, height: { ideal: 4096 }, facingMode: "user" };
		video.srcObject = await navigator.mediaDevices.getUserMedia({ video: ideal });
	} catch (error) {
		notice(texts[REASONS[error.name] ?? "camera_none"]);
		return;
	}
	video.srcObject.getVideoTracks()[0].addEventListener("ended", () => {
		shut();
		notice(texts.camera_lost);
	});
	area.hidden = false;
	open.hidden = true;
	camera.querySelector(".take").focus();
});

function shut() {
	video.srcObject?.getTracks().forEach((track) => track.stop());
	video.srcObject = null;
	area.hidden = true;
	open.hidden = false;
}

camera.querySelector(".shut").addEventListener("click", () => {
	shut();
	open.focus();
});
camera.querySelector(".take").addEventListener("click", () => {
	if (!video.videoWidth) return;
	const canvas = document.createElement("canvas");
	const share = Math.min(1, Math.sqrt(setup.max_pixels / (video.videoWidth * video.videoHeight)));
	[canvas.width, canvas.height] = [video.videoWidth, video.videoHeight].map((side) => Math.floor(share * side));
	canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
	canvas.toBlob((blob) => send([new File([blob], `${texts.camera_name}.png`)]), "image/png");
	shut();
	open.focus();
});
