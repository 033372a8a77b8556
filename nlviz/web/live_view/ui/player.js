// Play and pause: frame after frame at the pace of the clip, within what the eye can follow.

const SLOWEST = 600;
const FASTEST = 160;

/** @param {function} onFrame called at every step while playing */
export function createPlayer(clip, onFrame) {
  const last = clip.frames - 1;
  const mean = (1000 * (clip.times[last] - clip.times[0])) / Math.max(1, last);
  const pace = Math.min(Math.max(mean, FASTEST), SLOWEST);
  let timer = 0;

  function stop() {
    clearInterval(timer);
    timer = 0;
  }

  function toggle() {
    if (timer) stop();
    else timer = setInterval(onFrame, pace);
    return timer !== 0;
  }

  return { toggle, stop };
}
