"use strict";
// The pair's place in its cohort. It stands in a script beside the page, so that the page stays when the cohort grows.
const standing = typeof STANDING === "undefined" ? null : STANDING;

(() => {
  const find = selector => document.querySelector(selector), make = (name, text = "", className = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    element.className = className;
    return element;
  };
  if (!standing) {
    for (const part of document.querySelectorAll("[data-standing]")) part.hidden = true;
    find("[data-missing]").hidden = false;
    return;
  }

  const MOST = 3;

  /** The first reasons; the others open on request. */
  function listReasons(list) {
    const items = standing.reasons.map(reason => make("li", reason));
    list.append(...items.slice(0, MOST));
    if (items.length > MOST) {
      const item = make("li"), more = make("button", `and ${items.length - MOST} more`);
      more.addEventListener("click", () => { item.remove(); list.append(...items.slice(MOST)); });
      item.append(more);
      list.append(item);
    }
    list.hidden = !items.length;
  }

  /** Where a value lies in the cohort: a dot on a line with the median in the middle. */
  function placeOf(percentile) {
    const cell = make("td", "", "place");
    if (percentile === null) return cell;
    const line = make("div"), dot = make("i"), words = `percentile ${Math.round(percentile)}`;
    line.setAttribute("role", "img");
    line.setAttribute("aria-label", `${words} of the cohort`);
    line.title = words;
    dot.style.left = `${percentile.toFixed(1)}%`;
    line.append(dot);
    cell.append(line);
    return cell;
  }

  function rowOf(measure) {
    const row = make("tr", "", measure.flagged ? "out" : ""), name = make("th", measure.title), value = make("td", measure.text, "n");
    name.scope = "row";
    name.title = measure.meaning;
    if (measure.unit) value.append(" ", make("span", measure.unit, "quiet"));
    row.append(name, value, placeOf(measure.percentile));
    return row;
  }

  function tableOf(group) {
    const table = make("table"), body = make("tbody"), head = make("thead"), titles = make("tr", "", "unseen");
    for (const title of ["measure", "value", "place in the cohort"]) {
      const cell = make("th", title);
      cell.scope = "col";
      titles.append(cell);
    }
    head.append(titles);
    body.append(...standing.measures.filter(measure => measure.group === group).map(rowOf));
    table.append(make("caption", group), head, body);
    return table;
  }

  for (const name of ["index", "previous", "next"]) {
    const link = document.getElementById(name);
    link.hidden = !standing[name];
    if (standing[name]) link.href = standing[name];
  }
  find("#verdict").className = `verdict ${standing.verdict}`;
  find("#verdict").textContent = standing.verdict;
  find("#pairs").textContent = standing.pairs.toLocaleString("en").replace(",", "\u202f");
  find("#not-compared").textContent = standing.not_compared;
  find("#not-compared").hidden = !standing.not_compared;
  listReasons(find("#reasons"));
  find(".measures").append(...[...new Set(standing.measures.map(measure => measure.group))].map(tableOf));
})();
