// Whom the colour is for: everybody in the picture, or one person, who is chosen by a tap on the head or in a row of heads.
import { fill, live, onState, say, texts } from "./line.js";

const area = document.querySelector("#people");
const row = area.querySelector(".row");
const line = document.querySelector(".heads path");
const SIDE = 88; // pixels of a head in the row, twice as many as are shown
const ROOM = 1.1; // of a head's size, that is shown of it
let people = []; // from the left: a place, and a line around the head, in shares of the picture
let asked = ""; // of which picture and hair they are

const everybody = choice("", texts.everybody);
everybody.append(texts.everybody);

function choice(value, label) {
	const input = document.createElement("input");
	Object.assign(input, { type: "radio", name: "person", value });
	input.setAttribute("aria-label", label);
	input.addEventListener("change", () => choose(people[value]));
	const chip = document.createElement("label");
	chip.title = label;
	chip.append(input);
	return chip;
}

function choose(person) {
	say(person ? { do: "person", x: person.x, y: person.y } : { do: "everybody" });
}

function head(person, at, picture) {
	const chip = choice(at, fill(texts.person, { at: at + 1 }));
	const canvas = document.createElement("canvas");
	canvas.width = canvas.height = SIDE;
	const { naturalWidth: width, naturalHeight: height } = picture;
	const [left, right, top, bottom] = [0, 1].flatMap((axis) => {
		const places = person.outline.map((point) => point[axis] * [width, height][axis]);
		return [Math.min(...places), Math.max(...places)];
	});
	const side = ROOM * Math.min(right - left, bottom - top);
	const from = [(left + right - side) / 2, top - ((ROOM - 1) * side) / 2];
	canvas.getContext("2d").drawImage(picture, ...from, side, side, 0, 0, SIDE, SIDE);
	chip.append(canvas);
	return chip;
}

// Ask who is in the picture that is seen, where that may be others than before; `picture` shows it.
export async function findPeople(picture) {
	const { token, picture: seen } = live.state;
	const now = `${seen?.number} ${seen?.mask}`;
	if (!seen || asked === now) return;
	asked = now;
	try {
		const [answer] = await Promise.all([
			fetch(`/picture/${token}/${seen.number}/people?mask=${seen.mask}`),
			picture.decode(),
		]);
		if (!answer.ok || asked !== now) return;
		people = await answer.json();
	} catch {
		asked = ""; // another picture is shown by now
		return;
	}
	if (people.length < 2) people = [];
	row.replaceChildren(everybody, ...people.map((person, at) => head(person, at, picture)));
	show(live.state);
}

// A tap on the picture: whether it was on somebody's head, who is then chosen.
export function choosePerson(place) {
	const person = people.find(({ outline }) => isWithin(place, outline));
	if (person) choose(person);
	return Boolean(person);
}

function isWithin([x, y], outline) {
	let within = false;
	outline.forEach(([right, top], at) => {
		const [left, bottom] = outline.at(at - 1);
		if (top > y !== bottom > y && x < ((left - right) * (y - top)) / (bottom - top) + right) within = !within;
	});
	return within;
}

function show({ picture, person }) {
	const are = asked === `${picture?.number} ${picture?.mask}`;
	area.hidden = !are || !people.length || live.mirroring;
	const chosen = are && person ? people.find(({ outline }) => isWithin(person, outline)) : null;
	const outline = chosen && !live.mirroring ? chosen.outline : [];
	line.setAttribute("d", outline.length ? `M${outline.map(([x, y]) => `${1000 * x} ${1000 * y}`).join("L")}Z` : "");
	if (live.settled) row.querySelectorAll("input").forEach((input) => (input.checked = people[input.value] === (chosen ?? undefined)));
}

onState(show);
