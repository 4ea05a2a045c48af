/** Thousands of marks on the graphics card: the build that compiles no code at run time. Loaded where it is needed. */
import scattergl from 'plotly.js/src/traces/scattergl/strict'
import Plotly from './plotly'

Plotly.register([scattergl])
