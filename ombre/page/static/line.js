// The socket to the server: `say` sends what was done, `onState` is called with what is to be seen.
export const setup = JSON.parse(document.querySelector("#setup").textContent);
export const texts = setup.texts;
export const language = texts.language;
// settled: the server has answered all that was said; mirroring: the mirror is seen instead of a picture
export const live = { state: null, settled: true, mirroring: false };

const listeners = [];
// A page that is loaded anew goes on where it was.
const session = sessionStorage.getItem("session") ?? "";
const socket = new WebSocket(socketAddress(`/${language}/live?session=${session}`));
let said = 0;

export function socketAddress(path) {
	return `${location.origin.replace("http", "ws")}${path}`;
}

export function fill(text, values) {
	return text.replace(/{(\w+)}/g, (_, name) => values[name]);
}

export function onState(listener) {
	listeners.push(listener);
}

export function renew() {
	listeners.forEach((listener) => listener(live.state));
}

export function say(message) {
	if (socket.readyState !== WebSocket.OPEN) return;
	said += 1;
	live.settled = false;
	socket.send(JSON.stringify({ ...message, id: said }));
}

export function onLost(listener) {
	let leaving = false;
	addEventListener("pagehide", () => (leaving = true));
	addEventListener("pageshow", (event) => event.persisted && location.reload());
	socket.addEventListener("close", () => leaving || listener());
}

socket.addEventListener("message", (event) => {
	live.state = JSON.parse(event.data);
	sessionStorage.setItem("session", live.state.session);
	live.settled = live.state.answered >= said;
	renew();
});
