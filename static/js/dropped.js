/* What was dropped, as files: of folders the pictures in them, however deep. */
const PICTURES = /\.(jpe?g|png|gif|webp|avif|hei[cf])$/i;

/** Return the files of a drop, what cannot be read as an empty one; must be called while its event is handled. */
export async function filesOf(transfer) {
  const files = [...transfer.files];
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const found = await Promise.all(entries.map((entry, at) => (entry?.isDirectory ? within(entry) : files[at])));
  return found.flat();
}

async function within(folder) {
  const entries = await all(folder.createReader()).catch(() => null);
  if (!entries) return [unreadable(folder)];
  const found = await Promise.all(entries.map((entry) => (entry.isDirectory ? within(entry) : file(entry))));
  return found.flat();
}

/* A reader gives some entries at a time, and none at the end. */
async function all(reader) {
  const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  return some.length ? [...some, ...(await all(reader))] : [];
}

async function file(entry) {
  if (!PICTURES.test(entry.name)) return [];
  return new Promise((resolve) => entry.file(resolve, () => resolve(unreadable(entry))));
}

/* It is refused by its name, and the others go on. */
function unreadable(entry) {
  return new File([], entry.name);
}
