// Light or dark: as the system says, until the visitor says otherwise.

const CHOICES = { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };
const SPOKEN = { auto: "as the system says", light: "light", dark: "dark" };
const KEY = "aezoo-explorer-theme";

/** Makes a button switch the colours; `changed()` is called after each change, the system's own included. */
export function setUpTheme(button, changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = read();
  const apply = () => {
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.textContent = CHOICES[choice];
    button.setAttribute("aria-label", `Colours: ${SPOKEN[choice]}`);
    changed();
  };
  button.addEventListener("click", () => {
    const names = Object.keys(CHOICES);
    choice = names[(names.indexOf(choice) + 1) % names.length];
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // a browser that keeps nothing forgets this too
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

function read() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in CHOICES ? kept : "auto";
  } catch {
    return "auto";
  }
}
