// What a view tells outside: the reader's acts, once they have come to rest, and again where a later
// message does not know of them. A page that is being replaced may drop what it was told.

const AGAIN = 600; // ms after a message that should have known

/**
 * @param {HTMLElement} root its data-known is "false" until a message knows of the reader's last act
 * @param {((again: number) => void)|null} say tells all there is; `again` differs each time that the same
 *   is told again, as what has not changed would not be heard. Null: nobody listens.
 */
export function createTelling(root, say) {
  /** @type {ReturnType<typeof setTimeout>|null} */
  let timer = null;
  let again = 0;

  /** The reader did something: tell it after so many milliseconds without another act. */
  function acted(rest) {
    if (!say) return;
    root.dataset.known = "false";
    again = 0;
    wait(rest);
  }

  function wait(rest) {
    clearTimeout(timer ?? undefined);
    timer = setTimeout(now, rest);
  }

  /** Tell what waits at once. */
  function now() {
    if (timer === null) return;
    stop();
    say?.(again);
  }

  /** A message came from outside. */
  function heard(known) {
    if (known) {
      root.dataset.known = "true";
      stop();
    } else if (timer === null && say) {
      again += 1;
      wait(AGAIN);
    }
  }

  /** Tell nothing more. */
  function stop() {
    clearTimeout(timer ?? undefined);
    timer = null;
  }

  return { acted, now, heard, stop };
}
