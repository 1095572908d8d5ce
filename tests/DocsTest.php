<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Jobs;
use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** The README and the pages of docs/: their PHP runs, the messages they print are real, links and file names are valid, and the index lists every page. */
final class DocsTest extends TestCase
{
    private const TOP = __DIR__ . '/..';

    /** Variables that the blocks use without defining them. */
    private const BEFORE = <<<'PHP'
        $dsn = 'embedded://docs';
        $queue = new Amqp1\AmqpQueue($dsn, 'orders');
        $rows = [['id' => 1], ['id' => 2]];
        $credential = new class {
            public function getToken(string $scope): object
            {
                return (object) ['value' => $scope, 'expiresAt' => time() + 3600];
            }
        };
        PHP;

    /** What the blocks of a page about a package need besides. */
    private const LOADERS = [
        'docs/babelqueue.md' => 'integrations/babelqueue/tests/load.php',
        'docs/queue-interop.md' => 'integrations/queue-interop/tests/load.php',
        'docs/roadrunner.md' => 'integrations/roadrunner-jobs/tests/load.php',
    ];

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-docs-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/{,.}[!.]*", GLOB_BRACE) ?: []);
        rmdir($this->folder);
    }

    /** @return array<string, array{string}> */
    public static function pages(): array
    {
        $pages = ['README.md', 'CONTRIBUTING.md', 'UPGRADING.md', 'SECURITY.md'];
        foreach (glob(self::TOP . '/docs/*.md') ?: [] as $page) {
            $pages[] = 'docs/' . basename($page);
        }

        return array_combine($pages, array_map(static fn (string $page) => [$page], $pages));
    }

    /** @return array<string, array{string, string}> page and line => its page, its code */
    public static function blocks(): array
    {
        $blocks = [];
        foreach (self::pages() as [$page]) {
            $text = self::text($page);
            preg_match_all('/(<!-- [^\n]*-->\n)?^```php\n(.*?)^```/ms', $text, $found, PREG_SET_ORDER | PREG_OFFSET_CAPTURE);
            foreach ($found as [, [$mark], [$code, $at]]) {
                // Marked blocks run as whole files, in ReadmeTest and WorkersDocTest.
                if ($mark === '') {
                    $blocks[$page . ':' . (1 + substr_count($text, "\n", 0, $at))] = [$page, $code];
                }
            }
        }

        return $blocks;
    }

    /** @dataProvider blocks */
    #[DataProvider('blocks')]
    public function testABlockOfPhpRuns(string $page, string $code): void
    {
        // The page's own configuration, if it has a short one.
        preg_match('/\n\n```yaml\n(.*?)^```/ms', self::text($page), $yaml);
        file_put_contents("$this->folder/jobs.yaml", $yaml[1] ?? '');
        if (str_contains($code, '/etc/amqp/')) {
            foreach (['ca.pem', 'client.pem', 'client.key'] as $file) {
                copy(Certificates::path($file), "$this->folder/$file");
            }
            $code = str_replace('/etc/amqp/', "$this->folder/", $code);
        }
        $names = str_contains($code, 'use Amqp1\\') ? '' : 'use Amqp1\{AmqpQueue, Consumer, Jobs, Task, Worker};';
        $worker = 'require ' . var_export(dirname(__DIR__) . '/php/autoload.php', true) . ';'
            . 'require ' . var_export(dirname(__DIR__) . '/integrations/opentelemetry/autoload.php', true) . ';';
        if (isset(self::LOADERS[$page])) {
            $worker .= 'require ' . var_export(dirname(__DIR__) . '/' . self::LOADERS[$page], true) . ';';
        }
        file_put_contents("$this->folder/block.php", "<?php\n$names\n$worker\n" . self::BEFORE . "\n" . $code);
        $child = Child::command(
            [...Child::phpCommand(), '-d', 'display_errors=1', '-d', 'error_reporting=-1', "$this->folder/block.php"],
            ['AMQP1_CONFIG' => "$this->folder/jobs.yaml", 'AMQP_ADDR' => 'embedded://docs']
        );

        self::assertSame([0, ''], [$child->wait(30), $child->output()], $page);
    }

    public function testTheMessagesOfTheConfigurationAreAsPrinted(): void
    {
        $file = "$this->folder/.rr.yaml";
        $with = static function (string $config) use ($file): Jobs {
            file_put_contents($file, "amqp1: {addr: 'embedded://docs'}\njobs: {pipelines: {orders: {config: $config}}}\n");

            return new Jobs($file);
        };
        $messages = array_map(static function (callable $mistake): string {
            try {
                $mistake();
            } catch (ConfigException $e) {
                return $e->getMessage();
            }
            self::fail('no exception');
        }, [
            static fn () => $with("{prefetch: 'ten'}"),
            static fn () => $with('{prefetsh: 10}'),
            static fn () => $with('{}')->create('ordres'),
        ]);

        self::assertStringContainsString("```\n" . str_replace($file, '/app/.rr.yaml', implode("\n", $messages)) . "\n```", self::text('docs/configuration.md'));
    }

    public function testTheDifferenceOfAQueueIsAsPrinted(): void
    {
        (new AmqpQueue('embedded://docs', 'orders', ['queue_type' => 'classic', 'max_length' => 7]))->setup();
        try {
            (new AmqpQueue('embedded://docs', 'orders', ['max_length' => 8]))->setup();
            self::fail('no exception');
        } catch (ConfigException $e) {
            preg_match("/```\n(queue 'orders' already exists .*?)\n```/s", self::text('docs/brokers.md'), $printed);
            self::assertStringContainsString(str_replace("\n", ' ', $printed[1] ?? '?'), $e->getMessage());
        }
    }

    /** @dataProvider pages */
    #[DataProvider('pages')]
    public function testLinksLeadSomewhere(string $page): void
    {
        $text = (string) preg_replace('/^```.*?^```/ms', '', self::text($page));
        preg_match_all('/\]\(([^)\s]+)\)/', $text, $links);
        foreach ($links[1] as $link) {
            if (preg_match('/^https?:/', $link)) {
                continue;
            }
            [$path, $anchor] = explode('#', $link, 2) + [1 => ''];
            $target = $path === '' ? $page : ltrim((dirname($page) === '.' ? '' : dirname($page)) . "/$path", '/');
            self::assertFileExists(self::TOP . "/$target", "$page: $link");
            if ($anchor !== '') {
                self::assertContains($anchor, self::anchors(self::text($target)), "$page: $link");
            }
        }
        self::assertTrue(true);
    }

    /** @dataProvider pages */
    #[DataProvider('pages')]
    public function testFilesThatAreNamedExist(string $page): void
    {
        preg_match_all('#(?<![\w/.-])(?:crates|src|php|tests|scripts|bench|demo|ext|docs|fuzz)/[\w./-]*\w\b(?![/*…-])#', self::text($page), $names);
        foreach (array_unique($names[0]) as $name) {
            self::assertFileExists(self::TOP . "/$name", $page);
        }
        self::assertTrue(true);
    }

    public function testTheIndexNamesEveryPage(): void
    {
        preg_match_all('/\]\(([\w-]+\.md)\)/', self::text('docs/README.md'), $named);
        $there = array_map('basename', glob(self::TOP . '/docs/*.md') ?: []);

        self::assertEqualsCanonicalizing(array_values(array_diff($there, ['README.md'])), $named[1], 'docs/ (-) and docs/README.md (+)');
    }

    private static function text(string $page): string
    {
        return (string) file_get_contents(self::TOP . "/$page");
    }

    /** @return list<string> the anchors of a page's headings, as GitHub makes them */
    private static function anchors(string $text): array
    {
        preg_match_all('/^#+ (.*)$/m', (string) preg_replace('/^```.*?^```/ms', '', $text), $headings);

        return array_map(static function (string $heading): string {
            $kept = (string) preg_replace('/[^\w\s-]/u', '', strtolower($heading));

            return str_replace(' ', '-', $kept);
        }, $headings[1]);
    }
}
