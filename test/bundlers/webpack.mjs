// webpack with the configuration in the working directory, as its command line would, which is a package of its own.
import { pathToFileURL } from 'node:url'
import webpack from 'webpack'

const { default: config } = await import(pathToFileURL('webpack.config.mjs').href)
webpack(config, (err, stats) => {
  if (err === null && !stats.hasErrors()) return
  console.error(err ?? stats.toString({ all: false, errors: true }))
  process.exitCode = 1
})
