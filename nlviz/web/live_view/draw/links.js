// Arrows from the query to its strongest keys (Figure 3 of Wang et al. 2018).

/** Control point of a gentle arc between two points, always bending upwards. */
export function arcControl(from, to) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = Math.hypot(dx, dy);
  return { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 - Math.min(46, 0.16 * length) };
}

/** Width of an arrow in CSS pixels for its share of the strongest weight. */
export function linkWidth(share) {
  return 0.6 + 2.2 * Math.max(0, Math.min(1, share));
}

/** Corners of an arrow head whose tip is at `to`, coming from `control`. */
export function arrowHead(control, to, size) {
  const angle = Math.atan2(to.y - control.y, to.x - control.x);
  const corner = (turn) => ({
    x: to.x - size * Math.cos(angle + turn),
    y: to.y - size * Math.sin(angle + turn),
  });
  return [to, corner(0.42), corner(-0.42)];
}

/**
 * Draw arrows.
 * @param {CanvasRenderingContext2D} context
 * @param {{from: {x: number, y: number}, to: {x: number, y: number}, share: number, lit: boolean}[]} links
 *   strongest first; share relative to the strongest
 * @param {number} slim factor on their width
 * @param {number} opacity faint while the pointer moves, else full
 */
export function drawLinks(context, links, slim, opacity) {
  context.lineCap = "round";
  for (let n = links.length - 1; n >= 0; n--) {
    const { from, to, share, lit } = links[n];
    const control = arcControl(from, to);
    const width = slim * linkWidth(share);
    const strength = lit ? 1 : opacity * (0.1 + 0.9 * Math.sqrt(Math.max(share, 0)));
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.quadraticCurveTo(control.x, control.y, to.x, to.y);
    // The dark rim shows the line on light ground too: captions, and the page between pictures.
    context.strokeStyle = `rgba(0, 0, 0, ${0.55 * strength})`;
    context.lineWidth = width + (strength > 0.5 ? 1.6 : 0.8);
    context.stroke();
    context.strokeStyle = `rgba(255, 255, 255, ${strength})`;
    context.lineWidth = width;
    context.stroke();
    const [tip, left, right] = arrowHead(control, to, 4.5 + 2 * width);
    context.beginPath();
    context.moveTo(tip.x, tip.y);
    context.lineTo(left.x, left.y);
    context.lineTo(right.x, right.y);
    context.closePath();
    context.strokeStyle = `rgba(0, 0, 0, ${0.55 * strength})`;
    context.lineWidth = 1.6;
    context.stroke();
    context.fillStyle = `rgba(255, 255, 255, ${strength})`;
    context.fill();
  }
}
