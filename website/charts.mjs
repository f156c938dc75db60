// The charts of a result file of bench/ as drawings for the page that quotes it: inline SVG, so that they follow the page's
// light and dark. No script: the figures stand in the table beside them.

// Told apart without red and green; a contender has the same in every chart, here and on the page that `npm run bench` makes.
const colours = { forelog: '#d55e00', lmdb: '#0072b2', 'classic-level': '#009e73', 'better-sqlite3': '#cc79a7', 'node:fs': '#767676' }
const dashes = ['', '7 4', '2 3', '8 3 2 3']
const width = 680
const plot = { left: 66, right: 20, top: 14, height: 280 }

/** A page, with the charts behind each full quotation of results. */
export function withCharts(page, resultsOf) {
  return page.replaceAll(/<!-- results: (\S+), full -->[^]*?<!-- end of results -->/g, (quotation, path) => {
    const { charts } = resultsOf(path)
    return `${quotation}\n\n## Charts\n\n${charts.map(figure).join('\n\n')}\n`
  })
}

function figure(chart) {
  const note = chart.note === undefined ? '' : `<p>${escaped(chart.note)}</p>`
  // One line: an empty one would end the block of HTML.
  return `### ${chart.title}\n\n<figure class="chart">${drawing(chart)}${note}</figure>`
}

function drawing(chart) {
  const series = chart.series.map(({ name, points }) => ({ name, points: points.filter(([x, y]) => isPlace(chart.x, x) && isPlace(chart.y, y)) }))
  const all = series.flatMap(({ points }) => points)
  const x = scaleOf(chart.x, all.map(([place]) => place), plot.left, width - plot.right)
  const y = scaleOf(chart.y, all.map(([, place]) => place), plot.top + plot.height, plot.top)
  const bottom = plot.top + plot.height
  // What no contender's colour tells apart, the dashes do.
  const aspects = [...new Set(series.map(({ name }) => aspectOf(name)))]
  const legend = legendOf(series, bottom + 58)
  const parts = []
  for (const tick of y.ticks) {
    parts.push(`<line class="grid" x1="${plot.left}" x2="${width - plot.right}" y1="${y.at(tick)}" y2="${y.at(tick)}"/>`)
    parts.push(`<text class="tick" x="${plot.left - 8}" y="${y.at(tick) + 4}" text-anchor="end">${y.label(tick)}</text>`)
  }
  for (const tick of x.ticks) parts.push(`<text class="tick" x="${x.at(tick)}" y="${bottom + 18}" text-anchor="middle">${x.label(tick)}</text>`)
  parts.push(`<line class="axis" x1="${plot.left}" x2="${width - plot.right}" y1="${bottom}" y2="${bottom}"/>`)
  parts.push(`<text class="name" x="${(plot.left + width - plot.right) / 2}" y="${bottom + 38}" text-anchor="middle">${escaped(chart.x.name)}</text>`)
  parts.push(`<text class="name" transform="translate(14 ${plot.top + plot.height / 2}) rotate(-90)" text-anchor="middle">${escaped(chart.y.name)}</text>`)
  for (const { name, points } of series) {
    const style = styleOf(name, aspects)
    parts.push(`<polyline fill="none" ${style} points="${points.map(([px, py]) => `${x.at(px)},${y.at(py)}`).join(' ')}"/>`)
    if (points.length > 20) continue
    for (const [px, py] of points) parts.push(`<circle r="3.2" fill="${colourOf(name)}" cx="${x.at(px)}" cy="${y.at(py)}"><title>${escaped(name)}: ${y.label(py)}</title></circle>`)
  }
  for (const { name, left, top } of legend.items) {
    parts.push(`<line ${styleOf(name, aspects)} x1="${left}" x2="${left + 28}" y1="${top - 4}" y2="${top - 4}"/><text class="legend" x="${left + 34}" y="${top}">${escaped(name)}</text>`)
  }
  return `<svg viewBox="0 0 ${width} ${legend.bottom}" role="img" aria-label="${escaped(chart.title)}">${parts.join('')}</svg>`
}

const isPlace = ({ scale }, value) => Number.isFinite(value) && (scale !== 'log' || value > 0)
const contenderOf = (name) => name.split(': ')[0]
const colourOf = (name) => colours[contenderOf(name)] ?? '#8a8a8a'

const aspectOf = (name) => (contenderOf(name) in colours ? name.split(': ')[1] : name)

function styleOf(name, aspects) {
  const dash = dashes[Math.max(0, aspects.indexOf(aspectOf(name))) % dashes.length]
  return `stroke="${colourOf(name)}" stroke-width="${name.startsWith('forelog') ? 3 : 1.8}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`
}

/** Where values lie between two places, with ticks at round ones. */
function scaleOf(axis, values, begin, end) {
  const log = axis.scale === 'log'
  const base = axis.base ?? 10
  const measure = log ? (value) => Math.log(value) / Math.log(base) : (value) => value
  const wanted = [...values, axis.from, axis.to].filter((value) => value !== undefined).map(measure)
  let [least, most] = [Math.min(...wanted), Math.max(...wanted)]
  const step = log ? 1 : niceStep((most - Math.min(least, 0)) / 5)
  if (!log) least = Math.min(least, 0)
  const ticks = []
  const format = formats[axis.format] ?? plain
  if (axis.format === 'percentile') {
    ticks.push(...[2, 10, 100, 1000, 10_000].filter((value) => measure(value) >= least && measure(value) <= most))
  } else {
    ;[least, most] = end > begin && log ? [least, most] : [Math.floor(least / step) * step, Math.ceil(most / step) * step]
    for (let tick = Math.ceil(least / step) * step; tick <= most + step / 1000; tick += step) ticks.push(log ? base ** tick : tick)
  }
  const margin = end > begin ? (most - least) * 0.02 || 1 : 0
  const at = (value) => Math.round((begin + ((measure(value) - least + margin) / (most - least + 2 * margin || 1)) * (end - begin)) * 10) / 10
  return { ticks: thinned(ticks), at, label: format }
}

function thinned(ticks) {
  const every = Math.ceil(ticks.length / 10)
  return ticks.filter((_, index) => index % every === 0)
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough
}

const short = (value) => String(Number(value.toPrecision(3)))
const plain = (value) => (Math.abs(value) >= 1000 ? formats.count(value) : short(value))
const formats = {
  count: (value) => (value >= 1e6 ? `${short(value / 1e6)} M` : value >= 1e3 ? `${short(value / 1e3)} k` : short(value)),
  bytes: (value) => (value >= 1e9 ? `${short(value / 1e9)} GB` : value >= 1e6 ? `${short(value / 1e6)} MB` : value >= 1024 ? `${short(value / 1024)} KiB` : `${value} B`),
  percentile: (value) => `p${Number((100 - 100 / value).toFixed(2))}`,
}

function legendOf(series, top) {
  const items = []
  let [left, line] = [plot.left, top]
  for (const { name } of series) {
    const needed = 34 + name.length * 7.4 + 22
    if (left + needed > width && left > plot.left) [left, line] = [plot.left, line + 20]
    items.push({ name, left, top: line })
    left += needed
  }
  return { items, bottom: line + 12 }
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
