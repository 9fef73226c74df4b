"use strict";
// Columns of the design matrix for one value; null where no training patient had it.
function encode(v, value) {
  if (v.kind === "factor") {
    const level = v.levels.find((l) => l[0] === String(value));
    return level ? v.coefficients.map((_, k) => (k + 1 === level[2] ? 1 : 0)) : null;
  }
  const x = Number(value), slack = 1e-9 * Math.max(Math.abs(v.low), Math.abs(v.high));
  if (!(x >= v.low - slack && x <= v.high + slack)) return null;
  if (!v.knots) return [x];
  // Restricted cubic spline: the terms of rms::rcs.
  const t = v.knots, k = t.length, scale = (t[k - 1] - t[0]) ** 2;
  const cube = (knot) => Math.max(x - knot, 0) ** 3;
  const terms = [x];
  for (let j = 0; j < k - 2; j++) {
    const first = (t[k - 1] - t[j]) / (t[k - 1] - t[k - 2]), last = (t[k - 2] - t[j]) / (t[k - 1] - t[k - 2]);
    terms.push((cube(t[j]) - cube(t[k - 2]) * first + cube(t[k - 1]) * last) / scale);
  }
  return terms;
}
// Products of two variables' columns, those of the second changing fastest.
function products(a, b) {
  return a.flatMap((x) => b.map((y) => x * y));
}
function sumOf(columns, coefficients) {
  return columns.reduce((sum, x, k) => sum + x * coefficients[k], 0);
}
// 95% limits of a survival probability: normal on the scale of the cumulative hazard, with the
// variance of the baseline and that of the coefficients.
function limits(card, columns, total, variance, means) {
  const d = columns.map((x, j) => x - means[j]);
  let k = 0;
  for (let i = 0; i < d.length; i++) {
    for (let j = 0; j <= i; j++, k++) variance += (i === j ? 1 : 2) * card.covariance[k] * d[i] * d[j];
  }
  const reach = 1.959963984540054 * total * Math.sqrt(Math.max(variance, 0));
  return [Math.exp(-total - reach), Math.min(1, Math.exp(reach - total))];
}
// A name that may be the same in all languages.
function nameOf(text, language) {
  return typeof text === "string" ? text : text[language];
}
function fill(text, parts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in parts ? parts[name] : whole));
}
// Of what is missing or outside the training range: a message in the language; null if all is there.
function complaint(card, values, columns, language) {
  const words = card.words[language], missing = [], outside = [];
  const number = (x) => String(+x.toPrecision(6)).replace("-", "\u2212");
  card.variables.forEach((v, i) => {
    const value = values[v.name];
    if (value === undefined || value === null || value === "" || Number.isNaN(value)) {
      missing.push(nameOf(v.label, language));
    } else if (columns[i] === null) {
      const range = v.kind === "factor" ? v.levels.map((l) => nameOf(l[1], language)).join(words.comma)
        : fill(words.range, {low: number(v.low), high: number(v.high)});
      outside.push(fill(words.outside_item, {label: nameOf(v.label, language), range: range}));
    }
  });
  if (outside.length) return fill(words.outside, {names: outside.join(words.semicolon)});
  return missing.length ? fill(words.missing, {names: missing.join(words.comma)}) : null;
}
// The survival curve: at each month of card.curve survival and, if the card can, its limits.
function curveOf(card, columns, relative) {
  const base = card.curve, totals = base.hazard.map((h) => h * relative);
  const half = totals.findIndex((total) => Math.exp(-total) <= 0.5);
  return {
    survival: totals.map((total) => Math.exp(-total)),
    interval: base.means ? totals.map((total, k) => limits(card, columns, total, base.variance[k], base.means[k])) : null,
    median: half < 0 ? null : base.months[half],
  };
}
// The nomogram's arithmetic: no access to the page, so that it can be tested against Python.
// values: {column: number or level}. Returns {message, points, totalPoints, linearPredictor, survival,
// interval, curve, group}, points by group of variables; with a message (something missing or outside
// the training range) there is no probability.
function predict(card, values, language = "en") {
  const given = (v) => values[v.name] !== undefined && values[v.name] !== null && values[v.name] !== "";
  const columns = card.variables.map((v) => (given(v) ? encode(v, values[v.name]) : null));
  const crossed = card.interactions.map((t) => t.parts.every((i) => columns[i]) ? products(...t.parts.map((i) => columns[i])) : null);
  const points = card.groups.map((group) => {
    if (group.members.some((i) => columns[i] === null)) return null;
    let effect = 0;
    for (const i of group.members) effect += sumOf(columns[i], card.variables[i].coefficients);
    for (const i of group.interactions || []) effect += sumOf(crossed[i], card.interactions[i].coefficients);
    return (effect - group.lowest) * card.pointsPerUnit;
  });
  const message = complaint(card, values, columns, language);
  if (message !== null) return {message: message, points: points};
  const total = points.reduce((sum, p) => sum + p, 0), lp = total / card.pointsPerUnit + card.intercept;
  const relative = Math.exp(lp), all = [...columns, ...crossed].flat();
  return {
    message: null, points: points, totalPoints: total, linearPredictor: lp,
    survival: card.horizons.map((h) => Math.exp(-h.hazard * relative)),
    interval: card.covariance ? card.horizons.map((h) => limits(card, all, h.hazard * relative, h.variance, h.means)) : null,
    curve: card.curve ? curveOf(card, all, relative) : null,
    group: card.risk ? card.risk.names[card.risk.cuts.filter((cut) => lp > cut).length] : null,
  };
}
