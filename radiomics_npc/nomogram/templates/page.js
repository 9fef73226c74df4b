(function () {
  const get = (id) => document.getElementById(id);
  const card = JSON.parse(get("card").textContent);
  const drawing = get("drawing");
  const left = Number(drawing.dataset.left), length = Number(drawing.dataset.length);
  const show = (mark, on) => mark.setAttribute("visibility", on ? "visible" : "hidden");
  function update() {
    const values = {};
    card.variables.forEach((v, i) => {
      const text = get("in" + i).value.trim();
      values[v.name] = v.kind === "factor" || text === "" ? text : Number(text);
    });
    const result = predict(card, values);
    card.variables.forEach((v, i) => {
      const p = result.points[i];
      get("pts" + i).textContent = p === null ? "" : p.toFixed(1) + " points";
      show(get("mark" + i), p !== null);
      if (p !== null) get("mark" + i).setAttribute("cx", left + p / 100 * length);
    });
    const known = result.message === null;
    get("message").textContent = known ? "Total points " + result.totalPoints.toFixed(1) : result.message;
    card.horizons.forEach((h, i) => {
      get("out" + i).textContent = known ? (100 * result.survival[i]).toFixed(1) + "%" : "–";
    });
    const line = get("total");
    show(line, known);
    if (known) line.setAttribute("transform", "translate(" + (left + result.totalPoints / card.largestTotal * length) + ")");
  }
  get("calculator").hidden = false;
  get("calculator").addEventListener("input", update);
  get("calculator").addEventListener("submit", (event) => event.preventDefault());
  get("calculator").addEventListener("reset", () => setTimeout(update));
  update();
})();
