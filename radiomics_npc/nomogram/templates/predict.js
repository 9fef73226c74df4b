"use strict";
// What a number adds to the linear predictor.
function effectOf(v, x) {
  let effect = v.coefficients[0] * x;
  if (!v.knots) return effect;
  // Restricted cubic spline: the terms of rms::rcs.
  const t = v.knots, k = t.length;
  const cube = (knot) => Math.max(x - knot, 0) ** 3;
  const scale = (t[k - 1] - t[0]) ** 2;
  for (let j = 0; j < k - 2; j++) {
    const first = (t[k - 1] - t[j]) / (t[k - 1] - t[k - 2]), last = (t[k - 2] - t[j]) / (t[k - 1] - t[k - 2]);
    effect += v.coefficients[j + 1] * (cube(t[j]) - cube(t[k - 2]) * first + cube(t[k - 1]) * last) / scale;
  }
  return effect;
}
// The nomogram's arithmetic: no access to the page, so that it can be tested against Python.
// values: {column: number or level}. Returns {message, points, totalPoints, linearPredictor, survival};
// with a message (something missing or outside the training range) there is no probability.
function predict(card, values) {
  const points = [], missing = [], outside = [];
  let total = 0;
  for (const v of card.variables) {
    const value = values[v.name];
    let effect = null;
    if (value === undefined || value === null || value === "" || Number.isNaN(value)) {
      missing.push(v.label);
    } else if (v.kind === "factor") {
      const level = v.levels.find((l) => l[0] === String(value));
      if (level) effect = level[2];
      else outside.push(v.label + " (" + v.levels.map((l) => l[1]).join(", ") + ")");
    } else {
      const x = Number(value);
      const slack = 1e-9 * Math.max(Math.abs(v.low), Math.abs(v.high));
      if (x >= v.low - slack && x <= v.high + slack) effect = effectOf(v, x);
      else outside.push(v.label + " (" + +v.low.toPrecision(6) + " to " + +v.high.toPrecision(6) + ")");
    }
    const p = effect === null ? null : (effect - v.lowest) * card.pointsPerUnit;
    points.push(p);
    total += p;
  }
  if (outside.length) {
    return {message: "Outside the range of the training patients, so no probability is given: " +
            outside.join("; ") + ".", points: points};
  }
  if (missing.length) return {message: "Still to be entered: " + missing.join(", ") + ".", points: points};
  const lp = total / card.pointsPerUnit + card.intercept;
  return {
    message: null, points: points, totalPoints: total, linearPredictor: lp,
    survival: card.horizons.map((h) => Math.exp(-h.cumulativeHazard * Math.exp(lp))),
  };
}
