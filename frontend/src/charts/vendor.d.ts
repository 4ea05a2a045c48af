/** Plotly's parts are CommonJS modules without types; only what this project calls is declared. */
declare module 'plotly.js/lib/core' {
  interface Image {
    format: 'png' | 'svg'
    width: number
    height: number
    scale?: number
  }
  const Plotly: {
    register(modules: unknown[]): void
    toImage(figure: { data: unknown[]; layout: unknown }, options: Image): Promise<string>
  }
  export default Plotly
}
declare module 'plotly.js/lib/bar'
declare module 'plotly.js/lib/box'
declare module 'plotly.js/lib/heatmap'
declare module 'plotly.js/src/traces/parcoords/strict'
declare module 'plotly.js/src/traces/scattergl/strict'
