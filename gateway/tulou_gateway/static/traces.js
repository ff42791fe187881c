"use strict";
// The trace pages follow what happens; without this script they work the same, but stand still.

const EVERY = 3000;
const follow = document.getElementById("follow");
const filter = document.getElementById("filter");
if (follow) follow.hidden = false;
if (filter) {
  filter.addEventListener("change", (event) => {
    if (!follow.contains(event.target)) filter.requestSubmit();
  });
}

// One trace may still be arriving; a list goes on for ever.
let left = follow ? Infinity : 20;

async function refresh() {
  const live = document.getElementById("live");
  const wanted = follow ? follow.querySelector("input").checked : left-- > 0 && !live.querySelector("details[open]");
  if (!wanted || document.hidden || live.contains(document.activeElement)) return;
  const response = await fetch(location.href).catch(() => null);
  if (!response) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("live");
  if (fresh && fresh.innerHTML !== live.innerHTML) {
    live.replaceWith(fresh);
    offerAll();
  }
}
setInterval(refresh, EVERY);

function offerAll() {
  const all = document.getElementById("all");
  if (!all) return;
  const spans = [...document.querySelectorAll("details.span")];
  const open = all.textContent;
  all.hidden = false;
  all.addEventListener("click", () => {
    const opening = spans.some((span) => !span.open);
    spans.forEach((span) => { span.open = opening; });
    all.textContent = opening ? all.dataset.close : open;
  });
}
offerAll();
