import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProvider;
import org.apache.hadoop.crypto.key.KeyProviderFactory;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.client.CreateEncryptionZoneFlag;
import org.apache.hadoop.hdfs.client.HdfsAdmin;
import org.apache.hadoop.hdfs.client.HdfsDataOutputStream;
import org.apache.hadoop.util.DataChecksum;

/**
 * Makes a tree of test files with Hadoop's own client; tests/support/tree.py writes the description, content.py has the
 * same bytes.
 *
 * make DESCRIPTION THREADS: one line per entry. hold PATH SIZE SEED KNOWN (path percent-escaped): a file that stays open
 * until a line (closed properly) or the end of standard input (abandoned) arrives; of a KNOWN above 0 the NameNode is told
 * that so many bytes are there, all others are flushed to DataNodes only. keys PROVIDER NAME BITS ...: keys in a store.
 */
public final class MakeTree {
  private static final int BLOCK_BYTES = 65536;
  private static final int BUFFER_BYTES = 4096;
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;

  /** One line of the description. */
  private record Entry(
      String kind, Path path, long size, long seed, long blockSize, short replication, int bytesPerChecksum,
      String checksumType, long appendBytes, boolean appendNewBlock, String owner, String group, int mode,
      long mtimeMs, String local, String erasurePolicy, String encryptionKey) {

    static Entry parse(String line) {
      String[] f = line.split("\t", -1);
      for (int i = 0; i < f.length; i++) {
        f[i] = decoded(f[i]);
      }
      return new Entry(
          f[0], hdfsPath(f[1]), Long.parseLong(f[2]), Long.parseLong(f[3]), Long.parseLong(f[4]), Short.parseShort(f[5]),
          Integer.parseInt(f[6]), f[7], Long.parseLong(f[8]), f[9].equals("1"), f[10], f[11], Integer.parseInt(f[12]),
          Long.parseLong(f[13]), f[14], f[15], f[16]);
    }

    boolean isFile() {
      return kind.equals("file");
    }
  }

  private final DistributedFileSystem dfs;
  private final Configuration configuration;

  private MakeTree(Configuration configuration) throws IOException {
    this.configuration = configuration;
    this.dfs = (DistributedFileSystem) FileSystem.get(configuration);
  }

  /** Not new Path(String), which would take the text apart as a URI. */
  private static Path hdfsPath(String text) {
    return new Path(null, null, text);
  }

  private static String decoded(String field) {
    return URLDecoder.decode(field, StandardCharsets.UTF_8);
  }

  private static byte[] block(long seed) {
    ByteBuffer words = ByteBuffer.allocate(BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (long state = seed + GOLDEN; words.hasRemaining(); state += GOLDEN) {
      long z = (state ^ (state >>> 30)) * 0xBF58476D1CE4E5B9L;
      z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
      words.putLong(z ^ (z >>> 31));
    }
    return words.array();
  }

  /** Writes the bytes from, inclusive, to, exclusive, of the file of that seed. */
  private static void write(OutputStream out, long seed, long from, long to) throws IOException {
    byte[] block = block(seed);
    ByteBuffer stamp = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    for (long at = from; at < to; ) {
      int start = (int) (at % BLOCK_BYTES);
      int count = (int) Math.min(BLOCK_BYTES - start, to - at);
      stamp.putLong(BLOCK_BYTES - 8, at / BLOCK_BYTES);
      out.write(block, start, count);
      at += count;
    }
  }

  private FSDataOutputStream create(Entry e) throws IOException {
    Options.ChecksumOpt sums =
        new Options.ChecksumOpt(DataChecksum.Type.valueOf(e.checksumType), e.bytesPerChecksum);
    return dfs.createFile(e.path)
        .overwrite(true)
        .recursive()
        .bufferSize(BUFFER_BYTES)
        .blockSize(e.blockSize > 0 ? e.blockSize : configuration.getLongBytes("dfs.blocksize", 0))
        .replication(e.replication > 0 ? e.replication : (short) configuration.getInt("dfs.replication", 1))
        .checksumOpt(sums)
        .build();
  }

  private Void file(Entry e) throws IOException {
    try (FSDataOutputStream out = create(e)) {
      if (e.local.isEmpty()) {
        write(out, e.seed, 0, e.size);
      } else {
        try (InputStream in = Files.newInputStream(Paths.get(e.local))) {
          in.transferTo(out);
        }
      }
    }
    if (e.appendBytes > 0) {
      EnumSet<CreateFlag> flags = EnumSet.of(CreateFlag.APPEND);
      if (e.appendNewBlock) {
        flags.add(CreateFlag.NEW_BLOCK);
      }
      try (FSDataOutputStream out = dfs.append(e.path, flags, BUFFER_BYTES, null)) {
        write(out, e.seed, e.size, e.size + e.appendBytes);
      }
    }
    attributes(e);
    return null;
  }

  private void attributes(Entry e) throws IOException {
    if (e.mode != 0) {
      dfs.setPermission(e.path, new FsPermission((short) e.mode));
    }
    if (!e.owner.isEmpty() || !e.group.isEmpty()) {
      dfs.setOwner(e.path, e.owner.isEmpty() ? null : e.owner, e.group.isEmpty() ? null : e.group);
    }
    if (e.mtimeMs != 0) {
      dfs.setTimes(e.path, e.mtimeMs, -1);
    }
  }

  private void folder(Entry e) throws IOException {
    dfs.mkdirs(e.path);
    if (!e.encryptionKey.isEmpty()) {
      new HdfsAdmin(dfs.getUri(), configuration)
          .createEncryptionZone(e.path, e.encryptionKey, EnumSet.of(CreateEncryptionZoneFlag.PROVISION_TRASH));
    }
    if (!e.erasurePolicy.isEmpty()) {
      dfs.enableErasureCodingPolicy(e.erasurePolicy);
      dfs.setErasureCodingPolicy(e.path, e.erasurePolicy);
    }
  }

  private Void named(Entry e) throws IOException {
    try {
      return file(e);
    } catch (IOException error) {
      throw new IOException("making " + e.path + ": " + error.getMessage(), error);
    }
  }

  private void make(String description, int threads) throws Exception {
    List<Entry> entries = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(Paths.get(description), StandardCharsets.UTF_8)) {
      lines.lines().map(Entry::parse).forEach(entries::add);
    }
    for (Entry e : entries) {
      if (!e.isFile()) {
        folder(e);
      }
    }
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    List<Future<Void>> running = new ArrayList<>();
    for (Entry e : entries) {
      if (e.isFile()) {
        running.add(pool.submit(() -> named(e)));
      }
    }
    for (Future<Void> one : running) {
      one.get();
    }
    for (Entry e : entries) { // last: a file made inside changes a folder's time, a strict mode would shut us out
      if (!e.isFile()) {
        attributes(e);
      }
    }
  }

  private void hold(String path, long size, long seed, long known) throws IOException {
    FSDataOutputStream out = dfs.create(hdfsPath(path), true);
    write(out, seed, 0, known);
    if (known > 0) {
      ((HdfsDataOutputStream) out).hsync(EnumSet.of(HdfsDataOutputStream.SyncFlag.UPDATE_LENGTH));
    }
    write(out, seed, known, size);
    out.hflush();
    System.out.println("held");
    System.out.flush();
    if (System.in.read() >= 0) {
      out.close();
    }
  }

  private static void keys(String[] arguments) throws Exception {
    KeyProvider provider = KeyProviderFactory.get(new URI(arguments[1]), new Configuration());
    for (int i = 2; i < arguments.length; i += 2) {
      KeyProvider.Options options = KeyProvider.options(new Configuration());
      provider.createKey(arguments[i], options.setBitLength(Integer.parseInt(arguments[i + 1])));
    }
    provider.flush();
  }

  public static void main(String[] arguments) {
    try {
      switch (arguments[0]) {
        case "keys" -> keys(arguments);
        case "hold" ->
            new MakeTree(new Configuration())
                .hold(decoded(arguments[1]), Long.parseLong(arguments[2]), Long.parseLong(arguments[3]),
                    Long.parseLong(arguments[4]));
        default -> new MakeTree(new Configuration()).make(arguments[1], Integer.parseInt(arguments[2]));
      }
      Runtime.getRuntime().halt(0); // no shutdown hook closes a file that is to stay open
    } catch (Throwable error) {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
  }
}
