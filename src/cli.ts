console.log('pgvigil')
