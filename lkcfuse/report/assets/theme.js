// Light, dark, or as the system has it; kept for the next time where the browser allows.

const THEMES = { auto: "Automatic", light: "Light", dark: "Dark" };
const THEME_KEY = "lkcfuse-report-theme";

function storedTheme() {
  try {
    const theme = localStorage.getItem(THEME_KEY);
    return theme in THEMES ? theme : "auto";
  } catch {
    return "auto";
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = byId("theme");
  button.textContent = `Theme: ${THEMES[theme].toLowerCase()}`;
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // A browser that keeps nothing for files shows the page all the same.
  }
}

function startTheme() {
  setTheme(storedTheme());
  byId("theme").addEventListener("click", () => {
    const order = Object.keys(THEMES);
    const next = order.indexOf(document.documentElement.dataset.theme) + 1;
    setTheme(order[next % order.length]);
  });
}
