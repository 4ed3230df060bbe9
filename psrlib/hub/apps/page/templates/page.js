// While the page is looked at, what is marked data-live is fetched anew; without script the page is complete, of one moment.
"use strict";
const PERIOD_MS = 5000;

async function refresh() {
  if (document.hidden) return;
  const state = document.getElementById("state");
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(part.id);
      if (now) part.replaceChildren(...now.childNodes);
    }
    state.textContent = "live,";
    state.className = "";
  } catch {
    state.textContent = "the hub does not answer; as of";
    state.className = "bad";
  }
}

setInterval(refresh, PERIOD_MS);
refresh();
