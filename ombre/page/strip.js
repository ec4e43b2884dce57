// A row of pictures to choose from.
// props.value = {chosen, items: [{key, label, src}]}; triggers 'choose' with {key}.
const row = element.querySelector(".strip");
const PAUSE = 250; // ms without a change before the pictures are fetched anew
let fetching;

function show() {
	const { items = [], chosen = null } = props.value ?? {};
	row.parentElement.hidden = items.length === 0;
	const keys = items.map((item) => String(item.key));
	if (JSON.stringify([...row.children].map((button) => button.dataset.key)) !== JSON.stringify(keys))
		row.replaceChildren(...items.map(made));
	items.forEach((item, i) => {
		row.children[i].setAttribute("aria-pressed", String(item.key === chosen));
	});
	clearTimeout(fetching);
	fetching = setTimeout(() => {
		items.forEach((item, i) => {
			const image = row.children[i].firstChild;
			if (image.getAttribute("src") !== item.src) image.src = item.src;
		});
	}, PAUSE);
}

function made(item) {
	const button = document.createElement("button");
	button.type = "button";
	button.dataset.key = item.key;
	button.title = item.label;
	button.setAttribute("aria-label", item.label);
	const image = new Image();
	image.loading = "lazy";
	image.alt = "";
	image.src = item.src;
	button.append(image);
	button.addEventListener("click", () => trigger("choose", { key: item.key }));
	return button;
}

watch("value", show);
show();
