// What pages gain where there is a script: they keep up by themselves, and copy. Without it they are reloaded, and text is
// selected; nothing else is missing.
"use strict";

// A part of a page with data-live="seconds" is fetched anew as long as the page is looked at, and can be paused.
const live = document.querySelector("[data-live]");
if (live) {
  const seconds = Number(live.dataset.live) || 5;
  const state = document.querySelector("[data-live-state]");
  const dot = document.createElement("i");
  const text = document.createElement("span");
  const button = document.createElement("button");
  let isPaused = false;
  let failures = 0;
  let shown = live.innerHTML;

  const tell = () => {
    state?.classList.toggle("paused", isPaused || failures > 0);
    text.textContent = isPaused ? "Paused" : failures ? "Not reachable just now" : "Live";
    button.textContent = isPaused ? "Go on" : "Pause";
  };
  if (state) {
    button.type = "button";
    button.className = "quiet";
    button.addEventListener("click", () => { isPaused = !isPaused; tell(); });
    state.append(dot, text, button);
    state.hidden = false;
  }
  tell();

  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById(live.id);
    // Whoever stands within it keeps the focus, and whoever selects text keeps the selection.
    const isBusy = live.contains(document.activeElement) || !document.getSelection()?.isCollapsed;
    if (!next || isBusy || next.innerHTML === shown) return;
    shown = next.innerHTML;
    const known = new Set([...live.querySelectorAll("tbody a")].map((link) => link.getAttribute("href")));
    live.replaceChildren(...next.childNodes);
    if (known.size) {
      for (const row of live.querySelectorAll("tbody tr")) {
        const link = row.querySelector("a");
        if (link && !known.has(link.getAttribute("href"))) row.classList.add("fresh");
      }
    }
  };
  const again = async () => {
    if (!isPaused && document.visibilityState === "visible") {
      try { await refresh(); failures = 0; } catch { failures += 1; }
      tell();
    }
    // Where there is no answer, ever more patiently.
    setTimeout(again, 1000 * Math.min(60, seconds * 2 ** Math.min(failures, 5)));
  };
  setTimeout(again, 1000 * seconds);
}

// A button with data-copy="id" copies the text of that element.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it and copy";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
