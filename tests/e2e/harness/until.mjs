// Waiting for a condition, never for time.

/** Between two looks, ms: soon at first, then seldomer, as each look costs the page under test processor time. */
const PAUSES = [10, 20, 40, 80];
const PAUSE = 100;

/** Gives what `condition` gives once that is truthy. `what` (text, or a function that describes what is there instead) is said when it never is. */
export async function until(condition, what, timeoutMs = 12_000) {
  const deadline = Date.now() + timeoutMs;
  for (let look = 0; ; look += 1) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${typeof what === "function" ? await what() : what}`);
    await new Promise((again) => setTimeout(again, PAUSES[look] ?? PAUSE));
  }
}
