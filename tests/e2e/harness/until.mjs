// Waits for a condition, never for a time.

/** Calls `condition` until it gives something truthy, and returns that. `what` (a string or a function) says what was awaited. */
export async function until(condition, what, timeoutMs = 12_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${typeof what === "function" ? await what() : what}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}
