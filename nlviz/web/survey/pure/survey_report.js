// A report as the page asks it: what a figure is in a head, what a head is called, who was looked at.

/** An entry of [layer][head], or null. */
const entryOf = (table, layer, head) => table?.[layer]?.[head] ?? null;

/**
 * What the page asks of a report.
 * @param {any} whole as payloads/survey.py packs it
 */
export function surveyReport(whole) {
  const surveys = whole.surveys ?? [];
  const figures = whole.figures ?? [];
  const layers = whole.layers ?? [];
  const rules = whole.rules ?? [];
  const byName = new Map(figures.map((figure) => [figure.name, figure]));

  /** Mean over clips and its interval, whose ends are null where there are too few clips; null where it cannot be told. */
  function value(survey, name, layer, head) {
    const found = whole.values?.[survey]?.[name];
    const mean = entryOf(found?.mean, layer, head);
    if (mean === null) return null;
    const clips = Array.isArray(found.clips) ? entryOf(found.clips, layer, head) : found.clips ?? null;
    return { mean, low: entryOf(found.low, layer, head), high: entryOf(found.high, layer, head), clips };
  }

  /** What is in the second survey and not in the first; null where it cannot be told. */
  function change(name, layer, head) {
    const found = whole.changed?.[name];
    const mean = entryOf(found?.difference, layer, head);
    if (mean === null) return null;
    return {
      mean, low: entryOf(found.low, layer, head), high: entryOf(found.high, layer, head),
      p: entryOf(found.p, layer, head), told: entryOf(found.told, layer, head) === true,
      clips: Array.isArray(found.clips) ? entryOf(found.clips, layer, head) : found.clips ?? null, paired: found.paired === true,
    };
  }

  const label = (survey, layer, head) => entryOf(whole.labels?.[survey], layer, head);

  /** All heads, [layer, head] each, in their order. */
  const heads = layers.flatMap(({ heads: count }, layer) => Array.from({ length: count }, (_, head) => [layer, head]));

  /** Numbers of a figure in all heads of all surveys. */
  const numbers = (name) => surveys.flatMap((_, survey) => heads.map(([layer, head]) => value(survey, name, layer, head)?.mean))
    .filter((mean) => mean !== undefined);

  /** The same of differences. */
  const changes = (name) => heads.map(([layer, head]) => change(name, layer, head)?.mean).filter((mean) => mean !== undefined);

  /** Ends of all means and intervals of a figure. */
  function extent(name) {
    const all = surveys.flatMap((_, survey) => heads.map(([layer, head]) => value(survey, name, layer, head))).filter((one) => one !== null);
    return { least: Math.min(...all.map(({ low, mean }) => low ?? mean)), most: Math.max(...all.map(({ high, mean }) => high ?? mean)) };
  }

  /** Names of all labels that a rule gives, and of others that a head has. */
  const labels = [...new Set([...rules.map((rule) => rule.label), ...surveys.flatMap((_, survey) => heads.map(([layer, head]) => label(survey, layer, head)?.label)).filter(Boolean)])];

  /** How many heads of a survey have a label. */
  const counted = (survey, name) => heads.filter(([layer, head]) => label(survey, layer, head)?.label === name).length;

  /** A histogram over clips of a figure: edges, and counts of each survey that has any. */
  function histogram(name, layer, head) {
    const found = surveys.map((_, survey) => {
      const one = whole.histograms?.[survey]?.[name];
      const counts = entryOf(one?.counts, layer, head);
      return counts?.some((count) => count > 0) ? { survey, edges: one.edges, counts } : null;
    }).filter((one) => one !== null);
    return found.length ? found : null;
  }

  /** Means by label of the clips: rows of {name, of: one for each survey}. */
  function byLabel(name, layer, head) {
    const rows = new Map();
    surveys.forEach((_, survey) => {
      const groups = whole.groups?.[survey];
      (groups?.labels ?? []).forEach((group, n) => {
        const mean = entryOf(groups[name]?.mean?.[n], layer, head);
        if (mean === null) return;
        const found = rows.get(group) ?? { name: group, of: surveys.map(() => null) };
        const clips = groups[name].clips?.[n];
        found.of[survey] = {
          mean, low: entryOf(groups[name].low?.[n], layer, head), high: entryOf(groups[name].high?.[n], layer, head),
          clips: Array.isArray(clips) ? entryOf(clips, layer, head) : clips ?? null,
        };
        rows.set(group, found);
      });
    });
    return [...rows.values()];
  }

  /** Examples of a head: most and least typical, with their clip. */
  function examples(survey, layer, head) {
    const found = whole.typical?.[survey]?.[layer]?.[head] ?? {};
    const clips = whole.clips ?? [];
    const read = ([clip, frame, y, x, distance, why]) => ({ ...clips[clip], query: typeof frame === "number" ? [frame, y, x] : null, distance, why });
    return { most: (found.most ?? []).map(read), least: (found.least ?? []).map(read) };
  }

  return {
    surveys, figures, layers, rules, heads, labels, notes: whole.notes ?? [], failures: whole.failures ?? [], server: whole.server ?? null,
    figure: (name) => byName.get(name), value, change, label, numbers, changes, extent, counted, histogram, byLabel, examples,
    compared: surveys.length === 2,
  };
}
