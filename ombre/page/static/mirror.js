// The mirror: frames of the camera go to the server, and come back dyed; the newest alone, so that it does not lag.
import { send } from "./intake.js";
import { live, onState, renew, say, setup, socketAddress, texts } from "./line.js";
import { notice, report } from "./notices.js";

const SIDES = [640, 480]; // pixels of a frame, the longer and the shorter side, at most
const AT_ONCE = 2; // frames on their way: one is dyed while the next is sent
const KEPT = 10_000; // ms of dyed frames that are kept for a clip
const STARTING = 5_000; // ms within which a recorder starts, or never
const LAST_FRAME = 100; // ms that a clip's last frame is held, which would be lost otherwise
const REASONS = { NotAllowedError: "camera_denied", SecurityError: "camera_denied", NotReadableError: "camera_busy" };
const LOST = 4404; // the code with which the server says that its camera cannot be had
const CLIPS = { "video/mp4": "mp4", "video/webm": "webm" };

const work = document.querySelector("#work");
const [stage, after, before] = [".stage", ".live-after", ".live-before"].map((part) => work.querySelector(part));
const [freeze, take, clip, shut] = ["freeze", "take", "clip", "shut"].map((part) => work.querySelector(`.${part}`));
const opener = document.querySelector("#mirror button");
const video = document.querySelector("#eye"); // in the page, though hardly to be seen: else it may stand still
let mirror = null; // what is open: its camera's stream, its socket, the frames sent, kept and shown; is it frozen

async function open() {
	if (mirror) return;
	say({ do: "everybody" }); // a person who is chosen is one of a picture
	const mine = { stream: null, socket: null, sent: [], kept: [], shown: null, frozen: false, sending: false };
	mine.small = new OffscreenCanvas(1, 1);
	mirror = mine;
	try {
		if (!setup.own_camera) await watch(mine);
	} catch (error) {
		shutDown();
		notice(texts[REASONS[error.name] ?? "camera_none"]);
		return;
	}
	if (mirror === mine) connect(mine);
}

async function watch(mine) {
	const ideal = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
	mine.stream = await navigator.mediaDevices.getUserMedia({ video: ideal });
	mine.stream.getVideoTracks()[0].addEventListener("ended", () => mirror === mine && fail("camera_lost"));
	video.srcObject = mine.stream;
	await video.play();
}

function connect(mine) {
	const [socket, old] = [new WebSocket(socketAddress(`/mirror/${live.state.token}`)), mine.socket];
	Object.assign(mine, { socket, began: performance.now(), sent: [] });
	old?.close();
	socket.binaryType = "arraybuffer";
	socket.addEventListener("open", next);
	if (!setup.own_camera) look(mine, socket);
	let order = Promise.resolve();
	socket.addEventListener("message", ({ data }) => {
		order = order.then(() => mine.socket === socket && show(data)).then(tell);
	});
	socket.addEventListener("close", ({ code }) => {
		if (mirror === mine && mine.socket === socket) fail(code === LOST ? "camera_lost" : "mirror_lost");
	});
}

// Remember that the camera has a new frame, for as long as this socket is the mirror's.
function look(mine, socket) {
	video.requestVideoFrameCallback(() => {
		if (mirror !== mine || mine.socket !== socket) return;
		mine.fresh = true;
		next();
		look(mine, socket);
	});
}

// Send a frame whenever the camera has a new one and few are on their way.
async function next() {
	const mine = mirror;
	if (!mine || mine.frozen || mine.sending || mine.socket.readyState !== WebSocket.OPEN) return;
	if (setup.own_camera) {
		while (mine.sent.length < AT_ONCE) transmit({}, "");
	} else if (mine.fresh && mine.sent.length < AT_ONCE) {
		Object.assign(mine, { sending: true, fresh: false });
		await capture(mine);
		mine.sending = false;
	}
}

async function capture(mine) {
	const photo = await createImageBitmap(video);
	const share = Math.min(1, SIDES[0] / Math.max(photo.width, photo.height), SIDES[1] / Math.min(photo.width, photo.height));
	const size = [photo.width, photo.height].map((side) => Math.round(share * side));
	fit(mine.small, ...size).drawImage(photo, 0, 0, ...size);
	const small = await mine.small.convertToBlob({ type: "image/jpeg", quality: 0.9 });
	if (mirror !== mine || mine.frozen) return photo.close();
	if (mine.size && `${mine.size}` !== `${size}`) connect(mine); // the telephone was turned
	mine.size = size;
	transmit({ photo, small }, small);
}

// A canvas of this size, to draw on: one that has it already stays as it is, which is cheaper.
function fit(canvas, width, height) {
	if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
	return canvas.getContext("2d");
}

function transmit(frame, blob) {
	const { socket, sent, began } = mirror;
	if (socket.readyState !== WebSocket.OPEN) return frame.photo?.close();
	const stamp = Math.max(Math.round(performance.now() - began), (sent.at(-1)?.stamp ?? -1) + 1);
	const bytes = new DataView(new ArrayBuffer(4));
	bytes.setUint32(0, stamp);
	sent.push({ ...frame, stamp });
	socket.send(new Blob([bytes, blob]));
	tell();
}

// How many frames are on their way, for who looks from outside.
function tell() {
	stage.dataset.away = mirror?.sent.length ?? 0;
}

async function show(data) {
	const mine = mirror;
	if (!mine) return;
	const view = new DataView(data);
	const [stamp, length] = [view.getUint32(0), view.getUint32(4)];
	const dyed = new Blob([data.slice(8 + length)], { type: "image/jpeg" });
	while (mine.sent.length && mine.sent[0].stamp < stamp) mine.sent.shift().photo?.close();
	const frame = mine.sent.shift();
	if (mine.frozen && !frame.again) {
		frame.photo?.close();
		return again(mine);
	}
	if (setup.own_camera) frame.small = new Blob([data.slice(8, 8 + length)], { type: "image/jpeg" });
	const image = await createImageBitmap(dyed);
	const plain = frame.photo ?? (await createImageBitmap(frame.small));
	if (mirror !== mine) return;
	if (!mine.shown) begin();
	if (mine.shown?.photo !== frame.photo) mine.shown?.photo?.close();
	mine.shown = frame;
	stage.style.setProperty("--shape", image.width / image.height);
	fit(after, image.width, image.height).drawImage(image, 0, 0);
	fit(before, image.width, image.height).drawImage(plain, 0, 0, image.width, image.height);
	image.close();
	if (!frame.photo) plain.close();
	stage.dataset.stamp = stamp;
	keep(mine, dyed);
	if (mine.frozen) again(mine);
	else next();
}

function keep(mine, dyed) {
	const now = performance.now();
	mine.kept.push({ at: now, dyed });
	while (mine.kept[0].at < now - KEPT) mine.kept.shift();
}

// A frozen frame is dyed anew when another colour or height was chosen.
function again(mine) {
	const { shown, sent } = mine;
	if (!shown || sent.length || mine.version === live.state.version) return;
	mine.version = live.state.version;
	transmit({ ...shown, again: true }, shown.small);
}

function begin() {
	live.mirroring = true;
	renew();
	freeze.focus();
}

function shutDown() {
	const mine = mirror;
	mirror = null;
	mine.stream?.getTracks().forEach((track) => track.stop());
	mine.socket?.close();
	video.srcObject = null;
	live.mirroring = false;
	setFrozen(false);
	renew();
}

function fail(reason) {
	shutDown();
	notice(texts[reason]);
}

function setFrozen(frozen) {
	freeze.textContent = frozen ? texts.mirror_go_on : texts.mirror_freeze;
	if (!mirror) return;
	Object.assign(mirror, { frozen, version: live.state.version });
	if (!frozen) next();
}

// A picture at the camera's size, which is then one of the page's as any other.
async function takeStill() {
	const { photo, small } = mirror.shown;
	let [blob, suffix] = [small, "jpg"];
	if (photo) {
		const share = Math.min(1, Math.sqrt(setup.max_pixels / (photo.width * photo.height)));
		const canvas = new OffscreenCanvas(Math.floor(share * photo.width), Math.floor(share * photo.height));
		canvas.getContext("2d").drawImage(photo, 0, 0, canvas.width, canvas.height);
		[blob, suffix] = [await canvas.convertToBlob(), "png"];
	}
	if (!mirror) return;
	shutDown();
	send([new File([blob], `${texts.camera_name}.${suffix}`)]);
}

// The last seconds, played once more for the browser's own recorder.
async function takeClip() {
	const [frames, name] = [[...mirror.kept], live.state.clip_name];
	if (frames.length < 2) return;
	const canvas = document.createElement("canvas");
	[canvas.width, canvas.height] = [after.width, after.height];
	const stream = canvas.captureStream(0);
	const [track] = stream.getVideoTracks();
	const type = Object.keys(CLIPS).find((kind) => MediaRecorder.isTypeSupported(kind));
	const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 6e6 });
	const pieces = [];
	recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
	await paint(canvas, frames[0].dyed);
	await start(recorder, track);
	const whole = await play(frames, canvas, track);
	await pause(LAST_FRAME);
	recorder.stop();
	await new Promise((done) => recorder.addEventListener("stop", done));
	if (whole) download(new Blob(pieces, { type }), `${name}.${CLIPS[type]}`);
}

// A recorder starts only once it has seen a frame, and drops what it is shown before.
async function start(recorder, track) {
	let started = false;
	recorder.addEventListener("start", () => (started = true));
	recorder.start();
	for (const began = performance.now(); !started && performance.now() < began + STARTING; await pause(20)) track.requestFrame();
}

async function play(frames, canvas, track) {
	let stopped = false;
	const [key, total, began] = [{}, frames.at(-1).at - frames[0].at, performance.now()];
	for (const { at, dyed } of frames) {
		const done = at - frames[0].at;
		report(key, { what: texts.job_clip, done, total, stop: () => (stopped = true) });
		await pause(began + done - performance.now());
		await paint(canvas, dyed);
		track.requestFrame();
		if (stopped) break;
	}
	report(key, null);
	return !stopped;
}

async function paint(canvas, jpeg) {
	const image = await createImageBitmap(jpeg);
	canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
	image.close();
}

function pause(time) {
	return new Promise((over) => setTimeout(over, time));
}

function download(blob, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

opener.addEventListener("click", open);
freeze.addEventListener("click", () => setFrozen(!mirror.frozen));
take.addEventListener("click", takeStill);
clip.addEventListener("click", takeClip);
shut.addEventListener("click", () => {
	shutDown();
	opener.focus();
});
onState(() => mirror?.frozen && again(mirror));
