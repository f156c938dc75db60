export const embedded: string
export function kernelModule(): Promise<string>
export function embedKernel(): Promise<void>
