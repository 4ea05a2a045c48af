/**
 * The Plotly that the page ships: the traces that its figures use, and the build of parallel coordinates that
 * compiles no code at run time, so that a strict Content-Security-Policy allows it. Import it lazily.
 */
import bar from 'plotly.js/lib/bar'
import box from 'plotly.js/lib/box'
import Plotly from 'plotly.js/lib/core'
import heatmap from 'plotly.js/lib/heatmap'
import parcoords from 'plotly.js/src/traces/parcoords/strict'

Plotly.register([bar, box, heatmap, parcoords])

export default Plotly
