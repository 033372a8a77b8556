// Equation (1) of Wang et al. (CVPR 2018) as a worked sum over a picture of a few numbers:
//   y_i = 1/C sum_j f(x_i, x_j) g_j
// with the Gaussian f = exp(theta_i x_j / T), C the sum of f, or the dot product f = theta_i x_j,
// C the number N of pixels. theta_i = a x_i + b; a = 1, b = 0 leaves the pixel as it is.

/**
 * What is asked, and of what.
 * @typedef {object} Worked
 * @property {number} side pixels of a side of the picture
 * @property {number[]} x what f compares, one number a pixel
 * @property {number[]} g what each pixel hands over
 * @property {number} query index of pixel i
 * @property {number} key index of the pixel j that is looked at
 * @property {number} temperature T of the Gaussian
 * @property {"gaussian"|"dot_product"} pairwise
 * @property {number} a slope of theta
 * @property {number} b constant of theta
 */

/** f of a query with every key. @param {Worked} sum @param {number} [query] */
export function pairsOf(sum, query = sum.query) {
  const theta = sum.a * sum.x[query] + sum.b;
  if (sum.pairwise === "dot_product") return sum.x.map((x) => theta * x);
  return sum.x.map((x) => Math.exp((theta * x) / sum.temperature));
}

/** C: what f is divided by. */
export function normaliserOf(sum, f) {
  return sum.pairwise === "dot_product" ? f.length : f.reduce((all, one) => all + one, 0);
}

/** The row of a query: f / C. @param {Worked} sum @param {number} [query] */
export function rowOf(sum, query = sum.query) {
  const f = pairsOf(sum, query);
  const c = normaliserOf(sum, f);
  return f.map((one) => one / c);
}

/** All that the worked sum shows. @param {Worked} sum */
export function workedSum(sum) {
  const f = pairsOf(sum);
  const c = normaliserOf(sum, f);
  const weights = f.map((one) => one / c);
  const products = weights.map((weight, j) => weight * sum.g[j]);
  return { f, c, weights, products, y: products.reduce((all, one) => all + one, 0) };
}

/** Effective number of keys, exp(entropy), of a row that sums to 1. */
export function effectiveKeys(row) {
  return Math.exp(row.reduce((all, w) => (w > 0 ? all - w * Math.log(w) : all), 0));
}

/** The largest share of weight that lies on other keys for another query: 0 for equal rows, at most 1. */
export function rowsApart(sum) {
  const rows = sum.x.map((_, query) => rowOf(sum, query));
  let most = { apart: 0, here: sum.query, there: sum.query };
  for (let i = 0; i < rows.length; i++) {
    for (let k = 0; k < i; k++) {
      const apart = rows[i].reduce((all, w, j) => all + Math.abs(w - rows[k][j]), 0) / 2;
      if (apart > most.apart) most = { apart, here: k, there: i };
    }
  }
  return most;
}

/** Indices of the weights of a query that another x of one pixel changes. */
export function weightsChanged(sum, pixel, x) {
  const before = rowOf(sum);
  const after = rowOf({ ...sum, x: sum.x.with(pixel, x) });
  return before.map((_, j) => j).filter((j) => Math.abs(after[j] - before[j]) > 1e-12);
}

/** A pixel and those that touch it. */
export function neighbours(side, pixel) {
  const [row, column] = [Math.floor(pixel / side), pixel % side];
  return Array.from({ length: side * side }, (_, j) => j)
    .filter((j) => Math.max(Math.abs(Math.floor(j / side) - row), Math.abs((j % side) - column)) <= 1);
}
