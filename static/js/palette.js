/* The command palette: type, arrows, Enter. Its places are plain links in the page. */

/** Bind the palette's dialog; called once, when it is first opened. */
export function begin(dialog) {
  const input = dialog.querySelector("input");
  const options = [...dialog.querySelectorAll("[role=option]")];
  const search = options.find((option) => option.dataset.search);
  let current = null;

  const visible = () => options.filter((option) => !option.hidden);

  function mark(option) {
    current?.setAttribute("aria-selected", "false");
    current = option ?? null;
    current?.setAttribute("aria-selected", "true");
    current?.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", current?.id ?? "");
  }

  function filter() {
    const words = input.value.trim();
    for (const option of options) {
      if (option !== search) option.hidden = !option.textContent.toLowerCase().includes(words.toLowerCase());
    }
    search.hidden = words === "";
    search.href = search.dataset.search + encodeURIComponent(words);
    search.querySelector("b").textContent = words;
    mark(visible()[0]);
  }

  function move(step) {
    const list = visible();
    mark(list.at((list.indexOf(current) + step) % list.length));
  }

  input.addEventListener("input", filter);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) move(step);
    else if (event.key === "Enter") current?.click();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    input.value = "";
    filter();
  });
  filter();
}
