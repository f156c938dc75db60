/**
 * One page that needs nothing else: the charts (by ECharts, which is in it), and every figure as a table.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Axis, Chart, Results } from '../results.js'
import { environmentText, measureText } from './text.js'

/** Colours that are told apart without red and green, the same for a contender in every chart. */
const colours: Readonly<Record<string, string>> = {
  forelog: '#d55e00',
  lmdb: '#0072b2',
  'classic-level': '#009e73',
  'better-sqlite3': '#cc79a7',
  'node:fs': '#767676',
}

/** The library that draws, as the text of a script. */
export function chartLibrary(): string {
  return readFileSync(createRequire(import.meta.url).resolve('echarts/dist/echarts.common.min.js'), 'utf8')
}

export function resultsPage(results: Results, library: string): string {
  const charts = results.charts.map(
    (chart, index) => `<figure><figcaption>${escaped(chart.title)}</figcaption><div class="chart" id="chart-${index}"></div><p>${escaped(chart.note ?? '')}</p>${figures(chart)}</figure>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>forelog: measurements of ${escaped(results.date.slice(0, 10))}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 2rem }
  figure { margin: 0; min-width: 0 }
  figcaption { font-weight: 600 }
  .chart { height: 380px }
  figure p { color: #555; font-size: 13px; margin: .25rem 0 }
  pre { overflow-x: auto; font-size: 13px; background: #f6f6f6; padding: 1rem }
  table { border-collapse: collapse; font-size: 13px }
  td, th { padding: .1rem .6rem; text-align: right; border-bottom: 1px solid #ddd }
  th:first-child, td:first-child { text-align: left }
  details { overflow-x: auto; font-size: 13px }
</style>
<h1>forelog, side by side</h1>
<p><code>${escaped(results.command)}</code>, ${escaped(results.date)}. Medians of interleaved rounds.</p>
<pre>${escaped(environmentText(results.environment))}</pre>
<main>
${charts.join('\n')}
</main>
<h2>Every line</h2>
<pre>${escaped(results.measures.map(measureText).join('\n\n'))}</pre>
${results.skipped.length === 0 ? '' : `<p>Not measured: ${escaped(results.skipped.join('; '))}.</p>`}
<script>${library.replaceAll('</script', '<\\/script')}</script>
<script>
const charts = ${JSON.stringify(results.charts).replaceAll('<', '\\u003c')};
const axes = ${JSON.stringify(results.charts.map(({ x, y }) => [axisOf(x), axisOf(y)]))};
const colours = ${JSON.stringify(colours)};
const dashes = ['solid', 'dashed', 'dotted', [8, 3, 2, 3]];
const formats = {
  count: (value) => value >= 1e6 ? value / 1e6 + ' M' : value >= 1e3 ? value / 1e3 + ' k' : String(+value.toPrecision(3)),
  bytes: (value) => value >= 1e9 ? value / 1e9 + ' GB' : value >= 1e6 ? value / 1e6 + ' MB' : value >= 1024 ? +(value / 1024).toFixed(1) + ' KiB' : value + ' B',
  percentile: (value) => 'p' + +(100 - 100 / value).toFixed(2),
};
const plain = (value) => String(+value.toPrecision(3));
const shown = charts.map((chart, index) => {
  const view = echarts.init(document.getElementById('chart-' + index));
  const format = (axis) => formats[axis.format] ?? plain;
  const [x, y] = axes[index];
  view.setOption({
    animation: false,
    grid: { left: 64, right: 24, top: 16, bottom: chart.series.length > 8 ? 150 : 96 },
    legend: { bottom: 0, itemWidth: 36, type: chart.series.length > 16 ? 'scroll' : 'plain' },
    tooltip: { trigger: 'axis', valueFormatter: (value) => Number(value).toPrecision(3) },
    xAxis: { ...x, name: chart.x.name, nameLocation: 'middle', nameGap: 28, axisLabel: { formatter: format(chart.x), hideOverlap: true } },
    yAxis: { ...y, axisLine: { onZero: false }, name: chart.y.name, nameLocation: 'middle', nameGap: 46, axisLabel: { formatter: format(chart.y) } },
    series: chart.series.map(({ name, points }) => {
      const [contender, aspect] = name.split(': ');
      const aspects = [...new Set(chart.series.map((each) => each.name.split(': ')[1]))];
      const dash = aspect === undefined ? 'solid' : dashes[aspects.indexOf(aspect) % dashes.length];
      const color = colours[contender];
      return { type: 'line', name, data: points, symbolSize: points.length > 20 ? 0 : 7, showSymbol: points.length <= 20, color, lineStyle: { type: dash, width: contender === 'forelog' ? 3 : 2 } };
    }),
  });
  return view;
});
addEventListener('resize', () => { for (const view of shown) view.resize(); });
document.documentElement.dataset.charts = shown.length;
</script>
</html>
`
}

function axisOf({ scale, base, from, to }: Axis): object {
  const range = { ...(from === undefined ? {} : { min: from }), ...(to === undefined ? {} : { max: to }) }
  return scale === 'log' ? { type: 'log', logBase: base ?? 10, ...range } : { type: 'value', scale: true, ...range }
}

function figures({ x, series }: Chart): string {
  const places = [...new Set(series.flatMap(({ points }) => points.map(([place]) => place)))].sort((a, b) => a - b)
  if (places.length > 12) return ''
  const head = `<tr><th>${escaped(x.name)}</th>${places.map((place) => `<th>${place}</th>`).join('')}</tr>`
  const rows = series.map(({ name, points }) => {
    const at = new Map(points)
    return `<tr><td>${escaped(name)}</td>${places.map((place) => `<td>${at.get(place)?.toPrecision(3) ?? ''}</td>`).join('')}</tr>`
  })
  return `<details><summary>Figures</summary><table>${head}${rows.join('')}</table></details>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
