export { NameError, Names, type Dns, type NamesInit, type ResultOrder } from './names.ts'
