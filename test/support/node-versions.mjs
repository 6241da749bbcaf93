/** The versions of Node that the tests are known to pass on, beside the machine's own. */
export const NODE_VERSIONS = { 22: '22.23.3', 24: '24.21.0', 26: '26.10.0' }
