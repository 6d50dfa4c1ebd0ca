/* Buttons that open dialogs say so in HTML (command, commandfor); this does it for browsers that do not know that yet. */

/** Do what the button's `command` says. */
export function run(button) {
  const dialog = document.getElementById(button.getAttribute("commandfor"));
  if (button.getAttribute("command") === "close") return dialog.close();
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(), { once: true });
  return dialog.showModal();
}
