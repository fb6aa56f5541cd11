// The tabs of the side panel, after the pattern that screen readers know.

import { find } from "./dom.js";

const NAMES = ["events", "recordings", "health"];

/** Connect the tabs; `opened(name)` is called when one is shown. */
export function connectTabs(settings, opened) {
  const show = (name) => {
    for (const each of NAMES) {
      const chosen = each === name;
      const tab = find(`tab-${each}`);
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      find(`panel-${each}`).hidden = !chosen;
    }
    opened(name);
  };
  const choose = (name) => {
    settings.set({ tab: name });
    show(name);
  };
  NAMES.forEach((name, at) => {
    find(`tab-${name}`).addEventListener("click", () => choose(name));
    find(`tab-${name}`).addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      const next = NAMES[(at + step + NAMES.length) % NAMES.length];
      choose(next);
      find(`tab-${next}`).focus();
    });
  });
  show(NAMES.includes(settings.values.tab) ? settings.values.tab : NAMES[0]);
}
