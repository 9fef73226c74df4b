(function () {
  const get = (id) => document.getElementById(id);
  const card = JSON.parse(get("card").textContent);
  const form = get("calculator"), root = document.documentElement;
  const codes = {en: "en", zh: "zh-CN"};
  const [left, length] = get("drawing").dataset.axes.split(" ").map(Number);
  const [x0, y0, width, height] = get("drawing").dataset.frame.split(" ").map(Number);
  const percent = (p) => (p < 0.0005 ? "<0.1" : p >= 0.9995 && p < 1 ? ">99.9" : (100 * p).toFixed(1));
  const show = (mark, on) => mark.setAttribute("visibility", on ? "visible" : "hidden");
  // What is entered. A decimal comma counts as a point, but 1,234 may also mean a thousand: no number.
  function textOf(i) {
    const text = get("in" + i).value.trim();
    if (card.variables[i].kind === "factor" || /^\D?[1-9]\d*,\d{3}$/.test(text)) return text;
    return text.replace(",", ".").replace("\u2212", "-");
  }
  let language = root.lang === "en" ? "en" : "zh", saying = 0;

  // A step function as a path: across to each month, then down.
  function steps(survival, from) {
    const x = (month) => (x0 + month / card.curve.last * width).toFixed(1);
    const y = (p) => (y0 + (1 - p) * height).toFixed(1);
    return from + y(1) + survival.map((p, k) => "H" + x(card.curve.months[k]) + "V" + y(p)).join("") + "H" + x(card.curve.last);
  }
  // The band's outline: along the upper limits, and back along the lower ones.
  function outline(interval) {
    const back = interval.map((ends, k) => [card.curve.months[k], ends[0]]).reverse();
    const x = (month) => (x0 + month / card.curve.last * width).toFixed(1);
    const y = (p) => (y0 + (1 - p) * height).toFixed(1);
    return steps(interval.map((ends) => ends[1]), "M" + x0 + " ") +
      back.map(([month, p]) => "V" + y(p) + "H" + x(month)).join("") + "V" + y(1) + "Z";
  }
  function drawCurve(result) {
    get("curve").setAttribute("d", result ? steps(result.curve.survival, "M" + x0 + " ") : "");
    get("band").setAttribute("d", result && result.curve.interval ? outline(result.curve.interval) : "");
    card.horizons.forEach((h, i) => {
      show(get("dot" + i), result !== null);
      if (result) get("dot" + i).setAttribute("cy", y0 + (1 - result.survival[i]) * height);
    });
  }
  // Of interacting variables only the axis with the patient's settings has a mark.
  function holds(axis) {
    return (axis.settings || []).every(([i, at]) => {
      const v = card.variables[i];
      return v.kind === "factor" ? v.levels.find((l) => l[0] === textOf(i))[2] === at : Number(textOf(i)) === at;
    });
  }
  function drawMarks(result) {
    card.groups.forEach((group, g) => {
      const p = result.points[g];
      for (const axis of group.axes) {
        const on = p !== null && holds(axis);
        show(get("mark" + axis.mark), on);
        if (on) get("mark" + axis.mark).setAttribute("cx", left + p / 100 * length);
      }
    });
    const known = result.message === null;
    show(get("total"), known);
    if (known) get("total").setAttribute("transform", "translate(" + (left + result.totalPoints / card.largestTotal * length) + ")");
  }
  function tellPoints(result, words) {
    card.groups.forEach((group, g) => {
      const p = result.points[g], [first, ...others] = group.members;
      const name = nameOf(card.variables[first].label, language);
      get("pts" + first).textContent = p === null ? "" : fill(words.points_given, {points: p.toFixed(1)});
      for (const i of others) get("pts" + i).textContent = fill(words.points_with, {names: name});
    });
  }
  // What the curve says about the median survival; not more than the follow-up knows.
  function medianText(result, words) {
    const month = result.curve.median;
    if (month === null) return fill(words.not_reached, {months: card.curve.last.toFixed(0)});
    return fill(words.months, {months: month.toFixed(card.curve.thinned ? 0 : 1)});
  }
  // Shown results, and the same as sentences for screen readers once typing pauses.
  function tell(result, words) {
    const known = result.message === null, told = [];
    const put = (id, label, value, more) => {
      get(id).textContent = known ? value : "\u2013";
      if (known) told.push(fill(words.spoken, {label: label, value: value + (more ? " (" + more + ")" : "")}));
    };
    get("message").textContent = known ? fill(words.total_given, {points: result.totalPoints.toFixed(1)}) : result.message;
    card.horizons.forEach((h, i) => {
      const ends = known && result.interval ? result.interval[i] : null;
      const range = ends ? fill(words.interval, {low: percent(ends[0]), high: percent(ends[1])}) : "";
      put("out" + i, nameOf(h.label, language), known ? percent(result.survival[i]) + "%" : "", range);
      get("ci" + i).textContent = range;
    });
    if (card.risk) put("group", words.group, words[result.group]);
    if (card.curve) put("median", words.median, known ? medianText(result, words) : "");
    clearTimeout(saying);
    saying = setTimeout(() => (get("status").textContent = get("message").textContent + (known ? words.stop + told.join("") : "")), 600);
  }
  function update() {
    const words = card.words[language], values = {};
    card.variables.forEach((v, i) => {
      const text = textOf(i);
      values[v.name] = text;
      get("in" + i).setAttribute("aria-invalid", text !== "" && encode(v, text) === null);
    });
    const result = predict(card, values, language);
    form.classList.toggle("known", result.message === null);
    tellPoints(result, words);
    drawMarks(result);
    if (card.curve) drawCurve(result.message === null ? result : null);
    tell(result, words);
  }
  // Number and slider in step; without a number the slider is pale in the middle.
  function follow(i) {
    const slider = get("slide" + i), text = textOf(i), known = text !== "" && !Number.isNaN(Number(text));
    slider.classList.toggle("unset", !known);
    slider.value = known ? text : (Number(slider.min) + Number(slider.max)) / 2;
    slider.setAttribute("aria-valuetext", known ? text : "\u2013");
  }
  function speak(wanted) {
    language = wanted;
    root.lang = codes[language];
    document.title = card.words[language].title;
    for (const option of document.querySelectorAll("option[data-zh]")) option.textContent = option.dataset[language];
    const other = language === "en" ? "zh" : "en";
    get("language").lang = codes[other];
    get("language").textContent = other === "en" ? "English" : "\u4e2d\u6587";
    update();
  }
  form.hidden = get("language").hidden = false;
  const numbers = card.variables.flatMap((v, i) => (v.kind === "factor" ? [] : [i]));
  form.addEventListener("input", (event) => {
    const i = event.target.id.replace(/\D+/, "");
    if (event.target.type === "range") get("in" + i).value = event.target.value;
    if (event.target.type === "range" || event.target.type === "text") follow(i);
    update();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { numbers.forEach(follow); update(); }));
  get("language").addEventListener("click", () => speak(language === "en" ? "zh" : "en"));
  numbers.forEach(follow);
  speak(language);
})();
