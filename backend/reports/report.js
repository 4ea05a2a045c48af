/* Draws the figures of this file from the data in it. It asks nobody for anything. */
"use strict";
(function () {
  var config = {
    displaylogo: false, responsive: false, showSendToCloud: false, plotlyServerURL: "", doubleClick: "reset",
    showLink: false, showEditInChartStudio: false, sendData: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "sendDataToCloud", "editInChartStudio"],
    displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false
  };
  var root = document.documentElement;
  var button = document.getElementById("theme");
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  var printing = false;

  function patched(figure, changes) {
    changes.forEach(function (change) {
      var path = change[0], at = figure;
      for (var i = 0; i < path.length - 1; i++) at = at[path[i]];
      at[path[path.length - 1]] = change[1];
    });
    return figure;
  }

  function figureOf(plot, dark, narrow) {
    var stored = JSON.parse(document.getElementById(plot.id + "-data").textContent);
    var figure = stored.figure;
    if (narrow && stored.narrow) {
      figure = patched(figure, stored.narrow);
      return dark ? patched(figure, stored.narrowDark) : figure;
    }
    return dark ? patched(figure, stored.dark) : figure;
  }

  function fitted(figure, width) {
    var layout = figure.layout;
    layout.width = width;
    layout.autosize = false;
    layout.dragmode = width < 520 ? false : (layout.dragmode || "zoom");
    if (width < 520) layout.font = Object.assign({}, layout.font, { size: 11 });
    return layout;
  }

  function draw(plot) {
    var dark = root.dataset.theme === "dark" && !printing;
    var width = printing ? 680 : Math.max(280, Math.floor(plot.clientWidth));
    try {
      var figure = figureOf(plot, dark, width < 520);
      plot.dataset.drawn = width + (dark ? "d" : "l");
      plot.style.minHeight = figure.layout.height ? figure.layout.height + "px" : "";
      return Plotly.react(plot, figure.data, fitted(figure, width), config);
    } catch (error) {
      plot.dataset.failed = "";
      plot.textContent = "This figure cannot be drawn here; the table below has its numbers.";
      return null;
    }
  }

  function drawAll() { plots.forEach(draw); }

  /* One after another, so that the page can be read meanwhile. */
  function drawInTurn(place) {
    if (place >= plots.length) { root.dataset.ready = ""; return; }
    draw(plots[place]);
    window.setTimeout(function () { drawInTurn(place + 1); }, 0);
  }

  button.hidden = false;
  button.addEventListener("click", function () {
    var dark = root.dataset.theme !== "dark";
    root.dataset.theme = dark ? "dark" : "light";
    button.textContent = dark ? "Light colours" : "Dark colours";
    drawAll();
  });
  var waiting = 0;
  window.addEventListener("resize", function () {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(function () { if (!printing) drawAll(); }, 150);
  });
  var before = "light";
  window.addEventListener("beforeprint", function () {
    printing = true;
    before = root.dataset.theme || "light";
    root.dataset.theme = "light";
    drawAll();
  });
  window.addEventListener("afterprint", function () {
    printing = false;
    root.dataset.theme = before;
    drawAll();
  });
  drawInTurn(0);
})();
