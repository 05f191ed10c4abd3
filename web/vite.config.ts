// The page is built into web/dist with hashed names; `larder serve` carries the result inside itself. `npm -w web run dev` serves the
// sources with hot reload in front of a running Larder (LARDER_URL, by default http://127.0.0.1:8080).
import {fileURLToPath} from 'node:url';
import {defineConfig} from 'vite';

const larder = process.env['LARDER_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: {
    alias: {
      // mosaic-core brings a connector for DuckDB in the browser. We never make one; its 44 KiB stay at home.
      '@duckdb/duckdb-wasm': fileURLToPath(new URL('src/no-duckdb-wasm.ts', import.meta.url)),
    },
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,  // no data: scripts, no data: styles; the content security policy stays strict
    modulePreload: {polyfill: false},
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      '/api': {
        target: larder,
        changeOrigin: true,
        // Larder refuses requests of a foreign origin; to it the development server is one.
        configure: (proxy) => proxy.on('proxyReq', (request) => request.removeHeader('origin')),
      },
    },
  },
});
