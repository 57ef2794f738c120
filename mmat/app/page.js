() => {
  /* Gradio's radio buttons are no group: neither the arrow keys nor a screen reader know what
     belongs together. It names each of them anew at every choice. */
  const group = document.getElementById("tagger");
  if (group) {
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", "Tagger");
    const join = () => group.querySelectorAll("input:not([name=tagger])").forEach(
      radio => { radio.name = "tagger"; });
    new MutationObserver(join).observe(group, {subtree: true, attributeFilter: ["name"]});
    join();
  }

  /* The clip is played from the browser's own copy; the server has deleted what was sent. */
  let chosen = null, asked = null, address = null;
  const inside = (event, selector) => event.target.closest && event.target.closest(selector);
  const choose = files => { if (files && files.length) chosen = files[0]; };
  document.addEventListener("change", event => {
    if (inside(event, "#file input[type=file]")) choose(event.target.files);
  }, true);
  document.addEventListener("drop", event => {
    if (inside(event, "#file")) choose(event.dataTransfer.files);
  }, true);
  document.addEventListener("mmat-recorded", async event => {
    const answer = await fetch(event.detail);
    if (answer.ok) chosen = await answer.blob();
  });
  document.addEventListener("click", event => {
    if (inside(event, "#ask")) asked = chosen;
  }, true);

  /* Enter takes a label that was typed; where nothing is typed it asks. */
  document.addEventListener("keydown", event => {
    if (event.key !== "Enter" || !inside(event, "#labels input")) return;
    if (event.target.value || event.target.getAttribute("aria-activedescendant")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    document.getElementById("ask").click();
  }, true);

  const seek = (media, seconds) => {
    media.currentTime = seconds;
    media.play().catch(() => {});
  };

  const follow = (section, media) => {
    const timeline = section.querySelector(".timeline");
    const cursor = timeline.querySelector(".cursor"), whole = Number(timeline.dataset.duration);
    const move = () => {
      const part = Math.min(1, media.currentTime / whole);
      cursor.style.left = `${100 * part}%`;
      if (!media.paused && media.isConnected) requestAnimationFrame(move);
    };
    for (const name of ["play", "seeking", "seeked", "timeupdate"]) media.addEventListener(name, move);
    cursor.hidden = false;
    section.classList.add("playing");
    section.onclick = event => {
      const moment = inside(event, "[data-seek]"), tracks = inside(event, ".tracks");
      if (moment) return seek(media, Number(moment.dataset.seek));
      if (!tracks) return;
      const box = tracks.getBoundingClientRect();
      seek(media, whole * (event.clientX - box.left) / box.width);
    };
  };

  const player = (place, kind) => {
    const media = document.createElement(kind);
    media.controls = true;
    media.preload = "auto";
    media.playsInline = true;
    media.setAttribute("aria-label", "The clip");
    media.src = address;
    media.onloadedmetadata = () => {
      if (kind === "video" && !media.videoWidth) return player(place, "audio");
      place.hidden = false;
      follow(place.closest("section"), media);
    };
    media.onerror = () => {
      place.textContent = "This browser cannot play clips of this kind; the answer is complete.";
      place.hidden = false;
    };
    place.replaceChildren(media);
  };

  new MutationObserver(() => {
    const place = document.querySelector("#result .player:not([data-known])");
    if (!place) return;
    place.dataset.known = "yes";
    if (address) URL.revokeObjectURL(address);
    address = asked && URL.createObjectURL(asked);
    if (address) player(place, "video");
  }).observe(document.body, {childList: true, subtree: true});
}
